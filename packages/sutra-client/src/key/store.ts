/** Where the API key is stored: until the tab is closed, or until it is deleted. */
export type KeyStorage = "tab" | "device";

const NAME = "sutra.api-key";

/** The stored key, or an empty string. */
export function loadKey(): string {
  return read(() => sessionStorage) || read(() => localStorage);
}

/** Stores `key` in one place and removes it from the other; false if the browser blocks storage. */
export function saveKey(key: string, storage: KeyStorage): boolean {
  deleteKey();
  try {
    (storage === "tab" ? sessionStorage : localStorage).setItem(NAME, key);
    return true;
  } catch {
    return false;
  }
}

/** Removes the key from both places. */
export function deleteKey(): void {
  for (const storage of [() => sessionStorage, () => localStorage]) {
    try {
      storage().removeItem(NAME);
    } catch {
      // A browser that blocks storage has stored nothing.
    }
  }
}

// If storage is disabled, accessing the property already throws.
function read(storage: () => Storage): string {
  try {
    return storage().getItem(NAME) ?? "";
  } catch {
    return "";
  }
}
