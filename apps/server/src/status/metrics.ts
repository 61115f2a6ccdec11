import { serveMetrics } from '@filesync/program/node'
import type { ListenAddress, LogEvent } from '@filesync/program'
import type { MetricsPort } from '@filesync/program/node'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { ErrorCode } from '@filesync/protocol'
import type { Health, Status } from './health.ts'
import { VERSION } from '../software.ts'

const RESULTS = ['ok', 'problems', 'halted', 'failed', 'interrupted'] as const

/** What one session came to. */
export interface SessionCost {
  readonly result: typeof RESULTS[number]
  readonly files: number
  readonly bytes: number
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly durationMs: number
}

/** Of how many clients there is a series of their own, in the order in which they were paired. */
const MAX_CLIENTS = 500

/** The state of a server in the words of Prometheus. Names of clients are in it, keys and paths are not. */
export class ServerMetrics {
  readonly #registry: Registry = new Registry()
  readonly #registers: Registry[] = [this.#registry]
  readonly #sessions = new Counter({ name: 'filesync_server_sessions_total', help: 'Sessions that ended, by how.', labelNames: ['result'], registers: this.#registers })
  readonly #durations = new Histogram({ name: 'filesync_server_session_duration_seconds', help: 'From a turn to its end.', buckets: [0.1, 0.5, 2, 10, 60, 300, 1800, 7200], registers: this.#registers })
  readonly #files = new Counter({ name: 'filesync_server_stored_files_total', help: 'Files that were sent and stored.', registers: this.#registers })
  readonly #bytes = new Counter({ name: 'filesync_server_stored_bytes_total', help: 'Bytes of those files.', registers: this.#registers })
  readonly #network = new Counter({ name: 'filesync_server_network_bytes_total', help: 'Bytes of sessions on the wire, before TLS.', labelNames: ['direction'], registers: this.#registers })
  readonly #health: Health
  readonly #show: (status: Status) => void
  readonly #events = new Counter({ name: 'filesync_server_events_total', help: 'Lines of the log, by their event.', labelNames: ['event'], registers: this.#registers })

  readonly #refusals = new Counter({ name: 'filesync_server_refusals_total', help: 'Connections that were refused, by the code of the reason.', labelNames: ['code'], registers: this.#registers })

  constructor (health: Health) {
    collectDefaultMetrics({ register: this.#registry })
    for (const result of RESULTS) this.#sessions.inc({ result }, 0)
    new Gauge({ name: 'filesync_server_build_info', help: 'Always 1; the version is a label.', labelNames: ['version'], registers: this.#registers }).set({ version: VERSION }, 1)
    this.#health = health
    this.#show = this.#gauges()
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
      contentType: this.#registry.contentType,
      metrics: async () => {
        this.#show(await this.#health.status())
        return await this.#registry.metrics()
      },
    })
  }

  /** What is as it is when it is asked for. */
  #gauges (): (status: Status) => void {
    const gauge = (name: string, help: string, labelNames: string[] = []): Gauge => new Gauge({ name: `filesync_server_${name}`, help, labelNames, registers: this.#registers })
    const active = gauge('sessions_active', 'Clients that are served now.')
    const waiting = gauge('sessions_waiting', 'Clients that wait for their turn.')
    const clients = gauge('clients', 'Clients that are paired, or were.', ['state'])
    const present = gauge('archive_present', 'Whether the archive is here; 0 while its disk is away.')
    const disk = gauge('disk_bytes', 'The disk of the archive; absent while it is away.', ['kind'])
    const mirrorFiles = gauge('mirror_files', 'Files in the folders of all clients, without versions.')
    const mirrorBytes = gauge('mirror_bytes', 'Bytes of those files.')
    const complete = gauge('client_last_complete_timestamp_seconds', 'End of the last sync after which everything was stored; absent for never.', ['client'])
    const problems = gauge('client_problems', 'Entries that the last sync of a client could not store; absent before its first.', ['client'])
    const halted = gauge('client_halted', 'Whether the mass-change brake holds.', ['client'])
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
        // Without a label a reset leaves 0, which would say that all is gone.
        mirrorFiles.remove()
        mirrorBytes.remove()
      }
      for (const each of [complete, problems, halted]) each.reset()
      for (const { client, lastCompleteAt, lastEndedAt, problemCount, halted: isHalted } of paired.slice(0, MAX_CLIENTS)) {
        if (lastCompleteAt !== null) complete.set({ client }, Date.parse(lastCompleteAt) / 1000)
        if (lastEndedAt !== null) problems.set({ client }, problemCount)
        halted.set({ client }, isHalted ? 1 : 0)
      }
    }
  }
}
