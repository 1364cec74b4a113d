// Asks for the tree's hash every second and reloads the page when it is another one.
const own = document.documentElement.dataset.tree;

setInterval(async () => {
  try {
    const answer = await fetch('/client/dev/hash.txt', { cache: 'no-store' });
    if (answer.ok && (await answer.text()) !== own) location.reload();
  } catch {
    // The server is being restarted; the next second tells.
  }
}, 1000);
