// The public types of both sidecar entry points.

/**
 * How the machine id is made.
 *
 * - `node-machine-id`, the default: exactly what `machineIdSync()` of npm's `node-machine-id` returns.
 * - `python-platform-node`: SHA-256 of the host name, for apps whose customers are bound to it. Host names repeat and change.
 * - `app-scoped`, recommended for new apps: differs for each `appId`, so no two apps see the same value.
 */
export type MachineIdScheme = "node-machine-id" | "python-platform-node" | "app-scoped";

export interface MachineIdOptions {
  scheme?: MachineIdScheme | undefined;
  /** The app's own name or id. `app-scoped` requires it; the other schemes ignore it with a warning. */
  appId?: string | undefined;
  /** Aborts the call, which then rejects with `aborted`. */
  signal?: AbortSignal | undefined;
}

export interface MachineId {
  /** 64 lowercase hexadecimal digits, the same on every call on this machine. */
  id: string;
  scheme: MachineIdScheme;
  /** Where the system keeps the value from which the id is made. */
  source: "dbus" | "etc" | "hostname" | "ioreg" | "registry";
  /** English sentences that say why several machines may share the id; usually empty. */
  warnings: string[];
}

export interface SidecarOptions {
  /**
   * The program's path. Default: the program in this platform's package, such as
   * `@whop-license/sidecar-linux-x64`, which must be unchanged, except that you may
   * sign it. The environment variable WHOP_LICENSE_SIDECAR overrides both. In a
   * path into an Electron app's archive, `app.asar` is read as
   * `app.asar.unpacked`.
   */
  path?: string | undefined;
  /**
   * How long a call waits for its answer, in milliseconds: at least 1, at most
   * 2,147,483,647. Default 5,000. Before that, the first start may take 30 seconds,
   * or `timeoutMs` if that is longer, because a virus scanner or Gatekeeper may
   * scan the program.
   */
  timeoutMs?: number | undefined;
}

/** The sidecar. It is started on first use, and again if it has ended. */
export interface Sidecar {
  /**
   * Reads this machine's id. Calls may overlap. It rejects with a
   * `LicenseError`: `no_machine_id` if the machine has none or the sidecar
   * failed, `load_failed` if the sidecar can't be started, `timeout`, `aborted` or
   * `invalid_argument`. Never replace a missing id with a fixed value: all such
   * machines would share one license.
   */
  machineId(options?: MachineIdOptions): Promise<MachineId>;
  /** Stops the sidecar for good. Calls in flight and later calls reject with `aborted`. */
  close(): void;
}
