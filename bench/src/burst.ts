import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { makeCase } from './case.ts'
import type { Case } from './case.ts'
import type { Ended } from './children.ts'
import { BurstServer } from './burst-server.ts'
import { ProcessMeter } from './process-meter.ts'
import { under } from './row.ts'
import type { Row, Timed } from './row.ts'

const CLIENTS = 500
const SERVER_PEAK_BYTES = 500_000_000
const NOTE = 'CPU is that of all clients and the server, memory that of one client and the server; every client has to succeed'

/** Hundreds of client programs that start at the same moment, from one address and from an address each. */
export const BURST_CASE: Case = {
  ...makeCase('burst-500', `${CLIENTS} clients at once: enroll with one token, then push, from one address and from as many`, measureBurst),
  hasPeer: false,
}

/** A client with its own state and a tree of two files. */
interface BurstClient {
  readonly name: string
  readonly stateDir: string
  readonly source: string
}

async function measureBurst (bench: Bench): Promise<Row[]> {
  const clients = Array.from({ length: Math.max(2, Math.round(CLIENTS * bench.scale)) }, (_, n) => makeClient(bench, n))
  const server = await BurstServer.open(bench, clients.length)
  try {
    const token = await server.createToken(clients.length)
    const enrolled = await burst(bench, server, client => clientArgs(client, ['enroll', '--token-file', token, '--id', client.name], server))
    const pushed = await pushes(bench, server, () => server.address)
    const rows = [row(`${clients.length} clients enroll at once`, enrolled), row(`${clients.length} push at once, one address`, pushed)]
    const { addresses } = server
    if (addresses === undefined) {
      bench.log('clients with an address each are not measured: network namespaces are not permitted')
      return rows
    }
    const apart = await pushes(bench, server, n => addresses[n] ?? server.address)
    return [...rows, row(`${clients.length} push at once, an address each`, apart)]
  } finally {
    await server.close()
  }

  /** All clients get another version of a file and push it. */
  async function pushes (bench: Bench, server: BurstServer, hostOf: (n: number) => string): Promise<Timed> {
    for (const { source, name } of clients) writeFileSync(join(source, 'changed'), `${name} for ${hostOf(0)}`)
    const measured = await burst(bench, server, (client, n) => [
      'push', `data=${client.source}`, '--json', '--settle', '0', '--state-dir', client.stateDir, '--interface', 'lo',
      '--server', `${hostOf(n)}:${server.port}`,
    ])
    for (const client of clients) verifyStored(server, client)
    return measured
  }

  async function burst (bench: Bench, server: BurstServer, argsOf: (client: BurstClient, n: number) => string[]): Promise<Timed> {
    const meter = new ProcessMeter(server.pid)
    const startMs = performance.now()
    const started = clients.map((client, n) => server.startClient(argsOf(client, n)))
    meter.watch(started[0]?.pid ?? -1)
    try {
      const ended = await Promise.all(started.map(async ({ ended }) => await ended))
      const durationMs = performance.now() - startMs
      const { serverCpuMs, clientCpuMs, serverPeakBytes, clientPeakBytes } = await meter.finish()
      requireSuccess(ended)
      bench.log(`${ended.length} of ${clients.length} succeeded in ${(durationMs / 1000).toFixed(1)} s`)
      return { durationMs, serverCpuMs, clientCpuMs, serverPeakBytes, clientPeakBytes }
    } finally {
      meter.stop()
    }
  }
}

function makeClient ({ home }: Bench, n: number): BurstClient {
  const name = `client-${String(n).padStart(4, '0')}`
  const [stateDir, source] = [join(home, name, 'state'), join(home, name, 'source')]
  mkdirSync(join(source, 'below'), { recursive: true })
  writeFileSync(join(source, 'below', 'same'), name)
  return { name, stateDir, source }
}

function clientArgs ({ stateDir }: BurstClient, args: readonly string[], { address, port }: BurstServer): string[] {
  return [...args, '--state-dir', stateDir, '--interface', 'lo', '--server', `${address}:${port}`]
}

function requireSuccess (ended: readonly Ended[]): void {
  const failed = ended.filter(({ code }) => code !== 0)
  const [first] = failed
  if (first === undefined) return
  throw new Error(`${ended.length - failed.length} of ${ended.length} clients succeeded; one ended with ${first.code}: ` +
    `${first.stderr}${first.stdout}`)
}

function verifyStored ({ archive }: BurstServer, { name, source }: BurstClient): void {
  for (const file of ['changed', join('below', 'same')]) {
    const [stored, expected] = [join(archive, name, 'data', file), join(source, file)].map(path => readFileSync(path, 'utf8'))
    if (stored !== expected) throw new Error(`${name} reported success, but ${file} in the archive is different.`)
  }
}

function row (work: string, run: Timed): Row {
  return { case: 'burst-500', work, bars: [under('peakBytes', SERVER_PEAK_BYTES)], ours: [run], theirs: [], note: NOTE }
}
