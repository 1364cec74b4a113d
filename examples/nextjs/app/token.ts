/** Asked at every new connection, and before a token ends; null while no user is signed in. */
export async function token(): Promise<string | null> {
  const answer = await fetch('/api/realtime-token', { cache: 'no-store' });
  if (answer.status === 401) return null;
  if (!answer.ok) throw new Error(`no token: HTTP ${answer.status}`);
  return (await answer.json()).token;
}
