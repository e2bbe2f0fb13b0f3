/** Bytes that are read span by span, so that a large file is never in memory as a whole. */
export interface Source {
  /** Names it in errors: the path of a file. */
  readonly label: string;
  readonly size: number;
  /** A copy of `length` bytes from `position`, which must lie within the size. Throws `FormatError` if the file has
   *  become shorter. */
  read(position: number, length: number): Promise<ArrayBuffer>;
  close(): Promise<void>;
}

/** Bytes that are in memory already. */
export const bufferSource = (buffer: ArrayBuffer, label: string): Source => ({
  label,
  size: buffer.byteLength,
  read: async (position, length) => buffer.slice(position, position + length),
  close: async () => {},
});

/** What `use` makes of a source, which is closed if it fails. */
export async function withSource<T>(source: Source, use: (source: Source) => Promise<T>): Promise<T> {
  try {
    return await use(source);
  } catch (error) {
    await source.close();
    throw error;
  }
}
