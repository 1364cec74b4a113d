import { currentUser } from './session';
import { Live } from './live';
import { Today } from './today';

// Who is signed in, and where the server is, are asked at every visit.
export const dynamic = 'force-dynamic';

export default async function Page() {
  const user = await currentUser();
  if (!user) return <p>Entre no portal para ver seus números.</p>;
  const server = process.env.REALTIME_SERVER ?? 'http://127.0.0.1:8080';
  return (
    <main>
      <Today ownerId={user.ownerId} server={server} />
      <Live ownerId={user.ownerId} server={server} />
    </main>
  );
}
