/**
 * Who is signed in at the portal: this is where your own session comes in. Here it is one user of
 * the environment.
 */
export async function currentUser(): Promise<{ id: string; ownerId: string } | null> {
  const { PORTAL_USER: id, PORTAL_OWNER: ownerId } = process.env;
  return id && ownerId ? { id, ownerId } : null;
}
