/** Runs the toy recipe in a process of its own: `toy-main <folder> [args as JSON]`; resumes when the folder has a run. */
import { existsSync } from "node:fs";
import { execute, resume } from "../../src/train/index.ts";
import toy from "./toy-recipe.ts";

const [folder, args = "{}"] = process.argv.slice(2);
const outcome = existsSync(`${folder}/run.json`)
  ? await resume(toy, folder)
  : await execute(toy, JSON.parse(args), { folder });
process.exitCode = outcome.exitCode;
