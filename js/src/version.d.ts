/** This package's version, generated from package.json at build time. */
export const VERSION: string;
