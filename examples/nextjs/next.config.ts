import type { NextConfig } from 'next';

// This folder is the project's root, whatever lies around it.
const config: NextConfig = { turbopack: { root: __dirname } };

export default config;
