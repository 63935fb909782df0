/** Where a key is kept: until the tab closes, or until it is forgotten. */
export type Keeping = "tab" | "device";

const NAME = "sutra.api-key";

/** The kept key, or an empty string. */
export function kept(): string {
  return read(() => sessionStorage) || read(() => localStorage);
}

/** Keeps `key` in one place and removes it from the other; false when the browser allows no storage. */
export function keep(key: string, keeping: Keeping): boolean {
  forget();
  try {
    (keeping === "tab" ? sessionStorage : localStorage).setItem(NAME, key);
    return true;
  } catch {
    return false;
  }
}

/** Removes the key from both places. */
export function forget(): void {
  for (const storage of [() => sessionStorage, () => localStorage]) {
    try {
      storage().removeItem(NAME);
    } catch {
      // A browser that denies storage has kept nothing.
    }
  }
}

// Merely naming the storage throws where the person has switched it off.
function read(storage: () => Storage): string {
  try {
    return storage().getItem(NAME) ?? "";
  } catch {
    return "";
  }
}
