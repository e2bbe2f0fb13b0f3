import { factsOf, type InstructionFacts } from "../../compiler/cost.ts";
import { hoist, packBeforeLoops } from "../../compiler/hoist.ts";
import type { Buffer, Instruction } from "../../compiler/instruction.ts";
import { planMemory } from "../../compiler/plan.ts";
import { printSchedule } from "../../compiler/print.ts";
import { schedule } from "../../compiler/schedule.ts";
import { simplify } from "../../compiler/simplify.ts";
import type { Graph } from "../../graph/node.ts";
import type { Executable } from "../backend.ts";
import { whenChanged } from "../refresh.ts";
import { callsOf } from "./calls.ts";
import type { Engine } from "./engine.ts";
import { Launch } from "./launch.ts";
import { packedSize } from "./ops/index.ts";

/** Compiles a graph for the engine. */
export function compile(graph: Graph, engine: Engine): Executable {
  const { instructions, outputs } = schedule(simplify(graph));
  const constants = new Set(graph.constants);
  const { once, always: rest } = hoist(instructions, constants, packedSize);
  const always = packBeforeLoops(rest, packedSize);
  const [first, main] = [once, always].map((list) => callsOf(list));
  engine.functions.add([...first.works, ...main.works]);

  const kept = new Map<Buffer, number>();
  const owner = {};
  const make = (list: readonly Instruction[], { steps }: typeof main, results: readonly Buffer[]) =>
    new Launch(engine, { ...{ instructions: list, steps, results, constants, kept, owner }, plan: planMemory(list) });
  const launch = make(always, main, outputs);
  const prepare = once.length ? make(once, first, []) : null;
  const refresh = prepare ? whenChanged(once, (inputs) => prepare.run(inputs, null)) : () => {};
  let facts: readonly InstructionFacts[] | null = null;
  return {
    arenaBytes: launch.temporaryBytes,
    run(inputs) {
      refresh(inputs);
      return launch.run(inputs, null);
    },
    describe: () => (once.length ? `once:\n${printSchedule(once)}\nalways:\n` : "") + printSchedule(always),
    profile(inputs) {
      refresh(inputs);
      facts ??= factsOf(always);
      const seconds = new Float64Array(facts.length);
      const results = launch.run(inputs, seconds);
      return { results, timings: facts.map((fact, at) => ({ ...fact, seconds: seconds[at] })) };
    },
  };
}
