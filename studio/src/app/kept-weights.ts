import type { Weights } from "../worker/messages.ts";

/** Weights that outlive the page, and whether the training that made them had more to do. */
export interface KeptWeights extends Weights {
  readonly finished: boolean;
}

const store = "weights";
const key = "latest";

function database(): Promise<IDBDatabase> {
  const request = indexedDB.open("manabi-studio", 1);
  request.onupgradeneeded = () => request.result.createObjectStore(store);
  return settled(request);
}

const settled = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Keeps weights in this browser; rejects where it keeps nothing or has no room. */
export async function keepWeights(weights: KeptWeights): Promise<void> {
  const db = await database();
  try {
    await settled(db.transaction(store, "readwrite").objectStore(store).put(weights, key));
  } finally {
    db.close();
  }
}

/** The weights of the last visit, if there are any. */
export async function keptWeights(): Promise<KeptWeights | null> {
  const db = await database();
  try {
    return (await settled<KeptWeights | undefined>(db.transaction(store).objectStore(store).get(key))) ?? null;
  } finally {
    db.close();
  }
}
