// A process of its own: does one work a few times and prints the most memory that it held.
// node peak.js <name of the work> <backend> <threads> <runs> <matrix precision>
import { type BackendName, backend as engine, prepareBackend, setBackend, setThreads } from "../backends/select.ts";
import { type MatrixPrecision, setMatrixPrecision } from "../graph/precision.ts";
import { peakMemory } from "./memory.ts";
import { works } from "./works/index.ts";

const [name, backend, threads, runs, precision] = process.argv.slice(2);
await prepareBackend(backend as BackendName);
setBackend(backend as BackendName);
setThreads(Number(threads));
setMatrixPrecision(precision as MatrixPrecision);
const work = works.find((work) => work.name === name);
if (!work) throw new Error(`there is no work "${name}"`);
const run = await work.prepare();
for (let i = 0; i < Number(runs); i++) run();
await engine().finish?.();
console.log(peakMemory());
