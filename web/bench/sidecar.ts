// The machine id from the sidecar, against node-machine-id in this process.
import nodeMachineId from "node-machine-id";
import { createSidecar } from "whop-license/sidecar";
import { inTurns, milliseconds, type Row } from "./measure.js";

const warmRounds = 60;
const callsPerRound = 10; // so that most are not the first after the other's shell has run
const coldRounds = 60;

export async function machineIds(): Promise<Row[]> {
  const reference = async (): Promise<number> => {
    const start = performance.now();
    nodeMachineId.machineIdSync();
    return performance.now() - start;
  };

  const sidecar = createSidecar();
  const { id } = await sidecar.machineId();
  if (id !== nodeMachineId.machineIdSync()) throw new Error("the sidecar's id is another");
  const [warm, warmReference] = await inTurns(
    warmRounds,
    async () => {
      const start = performance.now();
      await sidecar.machineId();
      return performance.now() - start;
    },
    reference,
    callsPerRound,
  );
  sidecar.close();

  const [cold, coldReference] = await inTurns(
    coldRounds,
    async () => {
      const start = performance.now();
      const fresh = createSidecar();
      await fresh.machineId();
      const taken = performance.now() - start;
      fresh.close();
      return taken;
    },
    reference,
  );
  return [
    {
      name: `machine id, sidecar running (${warmRounds * callsPerRound} ×)`,
      measured: milliseconds(warm),
      against: milliseconds(warmReference),
      ratio: warm / warmReference,
      budget: 1 / 30,
    },
    {
      name: `machine id, sidecar start included (${coldRounds} ×)`,
      measured: milliseconds(cold),
      against: milliseconds(coldReference),
      ratio: cold / coldReference,
      budget: 1,
    },
  ];
}
