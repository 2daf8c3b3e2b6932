import { setTimeout as delay } from 'node:timers/promises'

/** Milliseconds from one event to the next, in each of the two rows of events. */
const PAUSE = { least: 500, more: 4000 }

/** Whether an event of that name is an edit of files. */
export function isEdit(name) {
  return name.endsWith(' changed') || name.startsWith('bad ')
}

/**
 * What befalls the programs, by the seed: one row of faults and of edits of engines, of which no two happen at a time,
 * and beside it one of edits of policies. Ends when `signal` says so, behind the event that is under way.
 */
export async function runSchedule({ faults, edits, randoms, signal, told }) {
  const processes = [
    [4, 'killed', (random) => faults.kill(random)],
    [4, 'stopped and continued', (random) => faults.stop(random)],
    [2, 'worker killed', (random) => faults.killWorker(random)],
    [1, 'worker hung', (random) => faults.hangWorker(random)],
    [2, 'module changed', (random) => edits.roles(random)],
    [1, 'bad module', (random) => edits.badRoles(random)],
    [2, 'expression changed', (random) => edits.gate(random)],
    [1, 'bad expression', (random) => edits.badGate(random)],
  ]
  const policies = [
    [3, 'policies changed', (random) => edits.policy(random)],
    [2, 'bad policies', (random) => edits.badPolicy(random)],
  ]
  await Promise.all([row(processes, randoms[0], signal, told), row(policies, randoms[1], signal, told)])
}

async function row(events, random, signal, told) {
  for (;;) {
    await delay(PAUSE.least + random.int(PAUSE.more), undefined, { signal }).catch(() => {})
    if (signal.aborted) return
    const [name, act] = random.weighted(events.map(([weight, name, act]) => [weight, () => [name, act]]))
    await act(random)
    told(name)
  }
}
