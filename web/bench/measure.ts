/** One budget, as measured by the benchmark. */
export interface Row {
  name: string;
  measured: string;
  against: string;
  ratio: number;
  /** The maximum ratio; without it, the ratio is only shown. */
  budget?: number;
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const high = sorted[middle] ?? Number.NaN;
  const low = sorted.length % 2 === 0 ? (sorted[middle - 1] ?? Number.NaN) : high;
  return (low + high) / 2;
}

/**
 * Times two ways of doing one thing in turns, so that what disturbs the machine
 * disturbs both. The first is done some number of times each turn.
 */
export async function inTurns(
  rounds: number,
  one: () => Promise<number>,
  other: () => Promise<number>,
  onesPerRound = 1,
): Promise<[number, number]> {
  const ones: number[] = [];
  const others: number[] = [];
  for (let round = 0; round < rounds; round++) {
    for (let call = 0; call < onesPerRound; call++) ones.push(await one());
    others.push(await other());
  }
  return [median(ones), median(others)];
}

export const milliseconds = (ms: number): string => `${ms.toFixed(ms < 1 ? 3 : 2)} ms`;
export const kilobytes = (bytes: number): string => `${Math.round(bytes / 1000)} KB`;

/** Prints the rows, and returns whether all are within their budgets. */
export function report(rows: Row[]): boolean {
  const cells = rows.map(({ name, measured, against, ratio, budget }) => [
    name,
    measured,
    against,
    ratio.toFixed(3),
    budget === undefined ? "" : `≤ ${budget.toFixed(3)}`,
    budget === undefined ? "shown" : ratio <= budget ? "pass" : "FAIL",
  ]);
  const table = [["", "measured", "against", "ratio", "budget", ""], ...cells];
  const widths =
    table[0]?.map((_, i) => Math.max(...table.map((row) => row[i]?.length ?? 0))) ?? [];
  for (const row of table) {
    console.log(
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    );
  }
  return rows.every(({ ratio, budget = Number.POSITIVE_INFINITY }) => ratio <= budget);
}
