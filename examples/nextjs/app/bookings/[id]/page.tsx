import Link from 'next/link';

/** Where the numbers lead: a page of the portal. */
export default async function Booking({ params }: { params: Promise<{ id: string }> }) {
  const { id } = await params;
  return (
    <main>
      <h1>Reserva {id}</h1>
      <Link href="/">Voltar aos números</Link>
    </main>
  );
}
