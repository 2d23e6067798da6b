/** This package's version, generated at build time from shared/version. */
export const VERSION: string;
