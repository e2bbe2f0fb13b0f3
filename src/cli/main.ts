#!/usr/bin/env node
import { runCli } from "./program.ts";

const { stdout, stderr } = process;
// A reader that goes away, such as `head`, is not an error.
stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});
process.exitCode = await runCli(process.argv.slice(2), { stdout, stderr });
