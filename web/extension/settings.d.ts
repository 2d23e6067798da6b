// The build replaces these names with their values.

/** The scheme of the ids that this extension gives. */
declare const SCHEME: "app-scoped" | "node-machine-id" | "python-platform-node";
/** The origins that this extension answers; empty for every page. */
declare const ORIGINS: readonly string[];
