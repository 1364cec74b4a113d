import { SignJWT } from 'jose';
import { currentUser } from '../../session';

/** For five minutes: the client asks again before it ends. */
const LIFE_SECONDS = 300;

export async function GET(): Promise<Response> {
  const user = await currentUser();
  if (!user) return Response.json({ error: 'signed out' }, { status: 401 });
  const token = await new SignJWT()
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(user.id) // users.id; the database says which accounts this user may see
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1000) + LIFE_SECONDS) // without an end it is refused
    .sign(new TextEncoder().encode(process.env.JWT_SECRET)); // the secret of hangarshare serve
  return Response.json({ token }, { headers: { 'Cache-Control': 'no-store' } });
}
