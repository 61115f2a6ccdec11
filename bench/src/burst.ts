import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { freemem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Bench } from './bench.ts'
import { BurstServer, namespaceCommand } from './burst-server.ts'
import { makeCase } from './case.ts'
import type { Case } from './case.ts'
import type { Ended } from './children.ts'
import { ProcessMeter } from './process-meter.ts'
import { under } from './row.ts'
import type { Row, Timed } from './row.ts'

const CLIENTS = 500
/** A client program takes this much beside what it shares with others. */
const PROGRAM_BYTES = 120_000_000
const SERVER_PEAK_BYTES = 500_000_000
const CROWD = fileURLToPath(new URL('../../e2e/src/crowd-main.ts', import.meta.url))
const NOTE = 'every client has to succeed; CPU is that of all clients and the server, memory that of one process of clients and the server'

/**
 * Hundreds of clients that start at the same moment, from one address and from an address each: programs, as many as fit into
 * memory, and the client's sessions in one process.
 */
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

/** What e2e/src/crowd-main.ts prints; the peak is that of the server. */
type CrowdLine = Pick<Required<Timed>, 'durationMs' | 'serverCpuMs' | 'clientCpuMs' | 'clientPeakBytes'> & { readonly peakBytes: number }

async function measureBurst (bench: Bench): Promise<Row[]> {
  const count = Math.max(2, Math.round(CLIENTS * bench.scale))
  const fitting = Math.min(count, Math.floor(freemem() / PROGRAM_BYTES))
  const rows = [...await measureSessions(bench, count), ...await measurePrograms(bench, fitting)]
  if (rows.length < 5) bench.log('clients with an address each are not measured: network namespaces are not permitted')
  return rows
}

/** The client's sessions, all in one process. */
async function measureSessions ({ children, home, log }: Bench, count: number): Promise<Row[]> {
  const rows: Row[] = []
  const crowd = [process.execPath, '--conditions=@filesync/source', CROWD, String(count)]
  const apart = await namespaceCommand({ children, home }, count)
  const ways: [string, readonly string[]][] = [['one address', crowd]]
  if (apart !== undefined) ways.push(['an address each', [...apart.command, ...crowd]])
  for (const [way, [program = '', ...args]] of ways) {
    const { stdout } = await children.run(program, args)
    log(`${count} sessions, ${way}: ${stdout.trim()}`)
    const { durationMs, serverCpuMs, clientCpuMs, clientPeakBytes, peakBytes } = JSON.parse(stdout) as CrowdLine
    const run = { durationMs, serverCpuMs, clientCpuMs, clientPeakBytes, serverPeakBytes: peakBytes }
    rows.push({ ...row(`${count} sessions at once, ${way}`, run), bars: [] })
  }
  return rows
}

async function measurePrograms (bench: Bench, count: number): Promise<Row[]> {
  const clients = Array.from({ length: count }, (_, n) => makeClient(bench, n))
  const server = await BurstServer.open(bench, count)
  try {
    const token = await server.createToken(count)
    const { addresses, address, port } = server
    const common = ({ stateDir }: BurstClient, host: string): string[] =>
      ['--state-dir', stateDir, '--interface', 'lo', '--server', `${host}:${port}`]
    const enroll = ({ name, ...client }: BurstClient): string[] =>
      ['enroll', '--token-file', token, '--id', name, ...common({ name, ...client }, address)]
    const rows = [row(`${count} programs enroll at once`, await burst(bench, server, clients.map(enroll)))]
    const ways: [string, (n: number) => string][] = [['one address', () => address]]
    if (addresses !== undefined) ways.push(['an address each', n => addresses[n] ?? address])
    for (const [way, hostOf] of ways) {
      for (const { source, name } of clients) writeFileSync(join(source, 'changed'), `${name} from ${way}`)
      const push = (client: BurstClient, n: number): string[] =>
        ['push', `data=${client.source}`, '--json', '--settle', '0', ...common(client, hostOf(n))]
      rows.push(row(`${count} programs push at once, ${way}`, await burst(bench, server, clients.map(push))))
      for (const client of clients) verifyStored(server, client)
    }
    return rows
  } finally {
    await server.close()
  }
}

/** Starts a client program with each of the arguments, and waits until all have ended. Throws if one of them fails. */
async function burst ({ log }: Bench, server: BurstServer, all: readonly (readonly string[])[]): Promise<Timed> {
  const meter = new ProcessMeter(server.pid)
  const startMs = performance.now()
  const started = all.map(args => server.startClient(args))
  meter.watch(started[0]?.pid ?? -1)
  try {
    const ended = await Promise.all(started.map(async ({ ended }) => await ended))
    const durationMs = performance.now() - startMs
    const { serverCpuMs, clientCpuMs, serverPeakBytes, clientPeakBytes } = await meter.finish()
    requireSuccess(ended)
    log(`${ended.length} of ${all.length} programs succeeded in ${(durationMs / 1000).toFixed(1)} s`)
    return { durationMs, serverCpuMs, clientCpuMs, serverPeakBytes, clientPeakBytes }
  } finally {
    meter.stop()
  }
}

function makeClient ({ home }: Bench, n: number): BurstClient {
  const name = `client-${String(n).padStart(4, '0')}`
  const [stateDir, source] = [join(home, name, 'state'), join(home, name, 'source')]
  mkdirSync(join(source, 'below'), { recursive: true })
  writeFileSync(join(source, 'below', 'same'), name)
  return { name, stateDir, source }
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
