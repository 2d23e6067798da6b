// The public types of both sidecar entry points.

/**
 * How the id is made.
 *
 * - `node-machine-id`, the default: exactly what `machineIdSync()` of npm's `node-machine-id` returns.
 * - `python-platform-node`: SHA-256 of the host name, for apps that bound customers by it so far. Host names repeat and change.
 * - `app-scoped`, advised for new apps: differs for each `appId`, so no two apps see the same value.
 */
export type MachineIdScheme = "node-machine-id" | "python-platform-node" | "app-scoped";

export interface MachineIdOptions {
  scheme?: MachineIdScheme | undefined;
  /** The app's own name or id; needed by `app-scoped`, and only there. */
  appId?: string | undefined;
  /** Aborts the call, which then rejects with `aborted`. */
  signal?: AbortSignal | undefined;
}

export interface MachineId {
  /** 64 lowercase hexadecimal digits, the same on every call on this machine. */
  id: string;
  scheme: MachineIdScheme;
  /** Where the system keeps the value that the id is made from. */
  source: "dbus" | "etc" | "hostname" | "ioreg" | "registry";
  /** Why several machines may share the id, in English; usually empty. */
  warnings: string[];
}

export interface SidecarOptions {
  /**
   * The program's path. Default: the one in this platform's package, such as
   * `@whop-license/sidecar-linux-x64`, which must be as it was published, though
   * it may have been signed since. The environment variable
   * WHOP_LICENSE_SIDECAR overrides both. In a path into an Electron app's
   * archive, `app.asar` is read as `app.asar.unpacked`.
   */
  path?: string | undefined;
  /**
   * How long a call waits for its answer, in milliseconds. Default 5,000. The
   * first start has at least 30 seconds of its own before that, as a virus
   * scanner or Gatekeeper may look at the program first.
   */
  timeoutMs?: number | undefined;
}

/** The sidecar, started on first use and again after it ended. */
export interface Sidecar {
  /**
   * Reads this machine's id. Calls may overlap. It rejects with a
   * `LicenseError`: `no_machine_id` where the machine has none or the
   * sidecar broke down, `load_failed` where the sidecar can't be started,
   * `timeout`, `aborted` or `invalid_argument`. Never replace a missing id by
   * a fixed value: all such machines would be one.
   */
  machineId(options?: MachineIdOptions): Promise<MachineId>;
  /** Stops the sidecar for good. Calls in flight, and later ones, reject with `aborted`. */
  close(): void;
}
