import { serveMetrics } from '@filesync/program/node'
import type { ListenAddress } from '@filesync/program'
import type { MetricsPort } from '@filesync/program/node'
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'
import type { ClientStatus } from './control-routes.ts'
import type { PushResult } from '../push/push-result.ts'
import { VERSION } from '../software.ts'

const RESULTS: readonly PushResult['result'][] = ['ok', 'problems', 'halted', 'paused', 'failed']
const ACTIVITIES: readonly ClientStatus['activity']['doing'][] = ['idle', 'connecting', 'queued', 'comparing', 'sending', 'waiting']

/** The state of a client as Prometheus metrics. They contain no paths and no names. */
export class ClientMetrics {
  readonly #registry: Registry = new Registry()
  readonly #registers: Registry[] = [this.#registry]
  readonly #runs = this.#counter('runs_total', 'Runs by result.', ['result'])
  readonly #files = this.#counter('sent_files_total', 'Files that were sent and stored.')
  readonly #network = this.#counter('network_bytes_total', 'Bytes on connections, before TLS.', ['direction'])
  /** The last run that did not fail. */
  #ended: PushResult | undefined
  readonly #update: (status: ClientStatus) => void

  constructor () {
    collectDefaultMetrics({ register: this.#registry })
    for (const result of RESULTS) this.#runs.inc({ result }, 0)
    this.#gauge('build_info', 'Always 1; the version is a label.', ['version']).set({ version: VERSION }, 1)
    this.#update = this.#gauges()
  }

  countRun (run: PushResult): void {
    const { result, filesSent, bytesSent, bytesReceived } = run
    if (result !== 'failed' && result !== 'paused') this.#ended = run
    this.#runs.inc({ result })
    this.#files.inc(filesSent)
    this.#network.inc({ direction: 'sent' }, bytesSent)
    this.#network.inc({ direction: 'received' }, bytesReceived)
  }

  /** Throws PORT_UNAVAILABLE. */
  async serve (at: ListenAddress, status: () => ClientStatus): Promise<MetricsPort> {
    return await serveMetrics(at, {
      option: '--metrics',
      contentType: this.#registry.contentType,
      metrics: async () => {
        this.#update(status())
        return await this.#registry.metrics()
      },
    })
  }

  #counter (name: string, help: string, labelNames: string[] = []): Counter {
    return new Counter({ name: `filesync_client_${name}`, help, labelNames, registers: this.#registers })
  }

  #gauge (name: string, help: string, labelNames: string[] = []): Gauge {
    return new Gauge({ name: `filesync_client_${name}`, help, labelNames, registers: this.#registers })
  }

  #gauges (): (status: ClientStatus) => void {
    const activity = this.#gauge('activity', '1 for the current activity, 0 for all others.', ['doing'])
    const watching = this.#gauge('watching', '1 if changes are noticed immediately, 0 if only by scans at intervals.')
    const last = this.#gauge('last_run_timestamp_seconds', 'End of the last run; absent before the first one.')
    const complete = this.#gauge('last_complete_timestamp_seconds',
      'End of the last run after which everything was stored, runs before the start included; absent if there is none.')
    const next = this.#gauge('next_sync_timestamp_seconds', 'When the next run is due; absent during a run.')
    const problems = this.#gauge('problems', 'Entries that the last run that did not fail could not store; absent before that.')
    const leftOut = this.#gauge('left_out',
      'Entries that the last run that did not fail left out because of what they are, such as sockets; absent before that.')
    const treeFiles = this.#gauge('tree_files', 'Files in the directory, as of the last run that did not fail; absent before that.')
    const treeBytes = this.#gauge('tree_bytes', 'Bytes of those files; absent before that.')
    return status => {
      for (const doing of ACTIVITIES) activity.set({ doing }, status.activity.doing === doing ? 1 : 0)
      watching.set(status.watch.mode === 'watching' ? 1 : 0)
      setOrRemove(last, status.last === null ? undefined : status.last.atMs / 1000)
      setOrRemove(complete, seconds(status.lastCompleteAt))
      setOrRemove(next, seconds(status.nextSyncAt))
      setOrRemove(problems, this.#ended?.problemCount)
      setOrRemove(leftOut, this.#ended?.leftOutCount)
      setOrRemove(treeFiles, this.#ended?.filesTotal)
      setOrRemove(treeBytes, this.#ended?.bytesTotal)
    }
  }
}

function seconds (time: string | null): number | undefined {
  return time === null ? undefined : Date.parse(time) / 1000
}

/** An unknown value is absent: 0 would be mistaken for a measurement. */
function setOrRemove (gauge: Gauge, value: number | undefined): void {
  if (value === undefined) gauge.remove()
  else gauge.set(value)
}
