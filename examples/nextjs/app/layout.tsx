import type { ReactNode } from 'react';

export const metadata = { title: 'Portal' };

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="pt-BR">
      <body style={{ margin: 0, padding: '1rem' }}>{children}</body>
    </html>
  );
}
