// What the browser keeps for this page. It may be told not to keep anything: then
// there is nothing, and nothing fails.

export const forTab = store(() => sessionStorage);
export const forEver = store(() => localStorage);

function store(storage) {
  return {
    get(key) {
      try {
        return storage().getItem(key);
      } catch {
        return null;
      }
    },
    set(key, value) {
      try {
        storage().setItem(key, value);
      } catch {
        // It holds as long as the page.
      }
    },
  };
}
