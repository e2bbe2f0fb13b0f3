import { Command, CommanderError } from "commander";
import { ManabiError } from "../core/errors.ts";
import { ArgsError } from "../train/args.ts";
import { packageVersion } from "../train/environment.ts";
import { benchCommand } from "./commands/bench.ts";
import { dataCommand } from "./commands/data.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { evalCommand } from "./commands/eval.ts";
import { explainCommand } from "./commands/explain.ts";
import { exportCommand } from "./commands/export.ts";
import { modelsCommand } from "./commands/models.ts";
import { predictCommand } from "./commands/predict.ts";
import { profileCommand } from "./commands/profile.ts";
import { runsCommand } from "./commands/runs.ts";
import { trainCommand } from "./commands/train.ts";
import { type Shell, UsageError } from "./shell.ts";

const examples = `
Examples:
  manabi train mnist-resnet                        learn handwritten digits, write a report
  manabi train --data photos --model resnet18      learn your own pictures, sorted as photos/<class>/<name>.jpg
  manabi predict runs/<run> picture.jpg            what is it?
  manabi predict --model resnet50.keras_in1k cat.jpg   with published weights
  manabi explain runs/<run> picture.jpg            why?
  manabi export runs/<run> --onnx model.onnx       for other runtimes
  manabi train <recipe> --help                     the options of a recipe
`;

const commands = [
  ...[
    trainCommand,
    evalCommand,
    predictCommand,
    explainCommand,
    exportCommand,
    modelsCommand,
    dataCommand,
    runsCommand,
    doctorCommand,
  ],
  ...[benchCommand, profileCommand],
];

/** A command and all below it. */
const withSubcommands = (command: Command): Command[] => [command, ...command.commands.flatMap(withSubcommands)];

/** Runs one command line; returns the exit code: 0 fine, 1 error, 2 wrong usage, 130 interrupted. */
export async function runCli(words: readonly string[], io: Pick<Shell, "stdout" | "stderr">): Promise<number> {
  const shell: Shell = { ...io, exitCode: 0 };
  const program = new Command("manabi")
    .description("Deep learning, whole, in TypeScript.")
    .version(await packageVersion(), "-v, --version", "print the version")
    .option("--debug", "show where an error comes from")
    .enablePositionalOptions() // a command below a command has options of its own
    .addHelpText("after", examples);
  for (const command of commands) program.addCommand(command(shell));
  for (const command of withSubcommands(program))
    command.exitOverride().configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      getOutHelpWidth: () => io.stdout.columns ?? 100,
      getErrHelpWidth: () => io.stderr.columns ?? 100,
    });
  program.configureHelp({ subcommandTerm: (command) => command.name() });
  // The switch is taken wherever it stands, so that it can be added to the end of any failing command.
  const debug = words.includes("--debug");
  try {
    await program.parseAsync(
      words.filter((word) => word !== "--debug"),
      { from: "user" },
    );
    return shell.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // it has printed its message
    io.stderr.write(`${debug ? stackOf(error) : messageOf(error)}\n`);
    return error instanceof UsageError || error instanceof ArgsError ? 2 : 1;
  }
}

const stackOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? String(error.stack) : `${error.stack}\ncaused by ${stackOf(error.cause)}`;
};

function messageOf(error: unknown): string {
  if (error instanceof ManabiError) return `error: ${error.message.replaceAll("\n", "\n  ")}`;
  // Not an error that was foreseen: say where to look.
  return `error: ${error instanceof Error ? `${error.name}: ${error.message}` : error}\nRun the command with --debug to see where it comes from.`;
}
