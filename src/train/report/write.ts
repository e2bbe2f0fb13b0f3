import type { ReportParts } from "./data.ts";
export async function writeReport(_folder: string, _parts: ReportParts): Promise<void> {}
