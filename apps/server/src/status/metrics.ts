import { serveMetrics } from '@filesync/program/node'
import type { ListenAddress, LogEvent } from '@filesync/program'
import type { MetricsPort } from '@filesync/program/node'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { ErrorCode } from '@filesync/protocol'
import type { Health, Status } from './health.ts'
import { VERSION } from '../software.ts'

const RESULTS = ['ok', 'problems', 'halted', 'failed', 'interrupted'] as const

/** The result of one session, and what it transferred. */
export interface SessionCost {
  readonly result: typeof RESULTS[number]
  readonly files: number
  readonly bytes: number
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly durationMs: number
}

/** How many clients have series of their own, in the order in which they were paired. */
const MAX_CLIENTS = 500
const DURATION_BUCKETS_SECONDS = [0.1, 0.5, 2, 10, 60, 300, 1800, 7200]

/** The state of a server as Prometheus series. They include names of clients, but no keys or paths. The README lists them. */
export class ServerMetrics {
  readonly #registry: Registry = new Registry()
  readonly #sessions = this.#counter('sessions_total', 'Sessions that ended, by result.', ['result'])
  readonly #durations = new Histogram({
    name: 'filesync_server_session_duration_seconds',
    help: 'Duration of sessions, from the beginning of their turn.',
    buckets: DURATION_BUCKETS_SECONDS,
    registers: [this.#registry],
  })
  readonly #files = this.#counter('stored_files_total', 'Files that were sent and stored.')
  readonly #bytes = this.#counter('stored_bytes_total', 'Bytes of those files.')
  readonly #network = this.#counter('network_bytes_total', 'Bytes that sessions sent and received, before TLS.', ['direction'])
  readonly #events = this.#counter('events_total', 'Log lines, by event.', ['event'])
  readonly #refusals = this.#counter('refusals_total', 'Refused connections, by error code.', ['code'])
  readonly #health: Health
  readonly #update: (status: Status) => void

  constructor (health: Health) {
    collectDefaultMetrics({ register: this.#registry })
    for (const result of RESULTS) this.#sessions.inc({ result }, 0)
    this.#gauge('build_info', 'Always 1; the version is a label.', ['version']).set({ version: VERSION }, 1)
    this.#health = health
    this.#update = this.#gauges()
  }

  noteSession ({ result, files, bytes, bytesSent, bytesReceived, durationMs }: SessionCost): void {
    this.#sessions.inc({ result })
    this.#durations.observe(durationMs / 1000)
    this.#files.inc(files)
    this.#bytes.inc(bytes)
    this.#network.inc({ direction: 'sent' }, bytesSent)
    this.#network.inc({ direction: 'received' }, bytesReceived)
  }

  noteEvent ({ event }: LogEvent): void {
    this.#events.inc({ event })
  }

  noteRefusal (code: ErrorCode): void {
    this.#refusals.inc({ code })
  }

  /** Throws PORT_UNAVAILABLE. */
  async serve (at: ListenAddress): Promise<MetricsPort> {
    return await serveMetrics(at, {
      option: '--metrics',
      contentType: this.#registry.contentType,
      metrics: async () => {
        this.#update(await this.#health.status())
        return await this.#registry.metrics()
      },
    })
  }

  #counter (name: string, help: string, labelNames: string[] = []): Counter {
    return new Counter({ name: `filesync_server_${name}`, help, labelNames, registers: [this.#registry] })
  }

  #gauge (name: string, help: string, labelNames: string[] = []): Gauge {
    return new Gauge({ name: `filesync_server_${name}`, help, labelNames, registers: [this.#registry] })
  }

  /** Registers the series that are set from a status at each request. Returns the function that sets them. */
  #gauges (): (status: Status) => void {
    const active = this.#gauge('sessions_active', 'Clients that have their turn.')
    const waiting = this.#gauge('sessions_waiting', 'Clients that wait for their turn.')
    const clients = this.#gauge('clients', 'Paired and revoked clients.', ['state'])
    const present = this.#gauge('archive_present', 'Whether the archive is available; 0 while its disk is not.')
    const disk = this.#gauge('disk_bytes', 'Space on the disk of the archive; absent while it is unavailable.', ['kind'])
    const mirrorFiles = this.#gauge('mirror_files', 'Files in the mirrors of all clients, without versions.')
    const mirrorBytes = this.#gauge('mirror_bytes', 'Bytes of those files.')
    const complete = this.#gauge(
      'client_last_complete_timestamp_seconds', 'End of the last sync after which everything was stored; absent if none.', ['client'],
    )
    const problems = this.#gauge('client_problems', 'Entries that the last sync did not store; absent before the first sync.', ['client'])
    const halted = this.#gauge('client_halted', 'Whether the mass-change brake has halted the client.', ['client'])
    const late = this.#gauge('client_late', 'Whether a complete sync of the client is overdue; 0 while it is paused.', ['client'])
    const paused = this.#gauge('client_paused', 'Whether the operator has paused the client.', ['client'])
    const cloned = this.#gauge('client_cloned', 'Whether two machines seem to use the key of the client.', ['client'])
    return ({ sessions, queue, peers, disk: report }) => {
      const paired = peers.filter(({ revokedAt }) => revokedAt === null)
      active.set(sessions.length)
      waiting.set(queue.length)
      clients.set({ state: 'paired' }, paired.length)
      clients.set({ state: 'revoked' }, peers.length - paired.length)
      present.set(report === null ? 0 : 1)
      for (const each of [disk, mirrorFiles, mirrorBytes]) each.reset()
      if (report !== null) {
        const { totalBytes, freeBytes, reserveBytes, files, bytes } = report
        for (const [kind, value] of Object.entries({ total: totalBytes, free: freeBytes, reserve: reserveBytes })) disk.set({ kind }, value)
        mirrorFiles.set(files)
        mirrorBytes.set(bytes)
      } else {
        // For a series without labels, a reset leaves 0, which would mean that all files are gone.
        mirrorFiles.remove()
        mirrorBytes.remove()
      }
      for (const each of [complete, problems, halted, late, paused, cloned]) each.reset()
      for (const { client, lastCompleteAt, lastEndedAt, problemCount, halted: isHalted, ...row } of paired.slice(0, MAX_CLIENTS)) {
        if (lastCompleteAt !== null) complete.set({ client }, Date.parse(lastCompleteAt) / 1000)
        if (lastEndedAt !== null) problems.set({ client }, problemCount)
        halted.set({ client }, isHalted ? 1 : 0)
        late.set({ client }, row.late ? 1 : 0)
        paused.set({ client }, row.pausedAt === null ? 0 : 1)
        cloned.set({ client }, row.cloned === null ? 0 : 1)
      }
    }
  }
}
