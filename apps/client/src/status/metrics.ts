import { serveMetrics } from '@filesync/program/node'
import type { ListenAddress } from '@filesync/program'
import type { MetricsPort } from '@filesync/program/node'
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'
import type { ClientStatus } from './control-routes.ts'
import type { PushResult } from '../push/push-result.ts'
import { VERSION } from '../software.ts'

const RESULTS: readonly PushResult['result'][] = ['ok', 'problems', 'halted', 'failed']
const ACTIVITIES: readonly ClientStatus['activity']['doing'][] = ['idle', 'connecting', 'queued', 'comparing', 'sending', 'waiting']

/** The state of a client in the words of Prometheus. No path and no name is in it. */
export class ClientMetrics {
  readonly #registry: Registry = new Registry()
  readonly #registers: Registry[] = [this.#registry]
  readonly #runs = new Counter({ name: 'filesync_client_runs_total', help: 'Runs that ended, by how.', labelNames: ['result'], registers: this.#registers })
  readonly #files = new Counter({ name: 'filesync_client_sent_files_total', help: 'Files that were sent and stored.', registers: this.#registers })
  readonly #network = new Counter({ name: 'filesync_client_network_bytes_total', help: 'Bytes on the wire, before TLS.', labelNames: ['direction'], registers: this.#registers })
  /** The last run that came to its end. */
  #ended: PushResult | undefined
  readonly #show: (status: ClientStatus) => void

  constructor () {
    collectDefaultMetrics({ register: this.#registry })
    for (const result of RESULTS) this.#runs.inc({ result }, 0)
    this.#gauge('build_info', 'Always 1; the version is a label.', ['version']).set({ version: VERSION }, 1)
    this.#show = this.#gauges()
  }

  noteRun (run: PushResult): void {
    const { result, filesSent, bytesSent, bytesReceived } = run
    if (result !== 'failed') this.#ended = run
    this.#runs.inc({ result })
    this.#files.inc(filesSent)
    this.#network.inc({ direction: 'sent' }, bytesSent)
    this.#network.inc({ direction: 'received' }, bytesReceived)
  }

  /** Throws PORT_UNAVAILABLE. */
  async serve (at: ListenAddress, status: () => ClientStatus): Promise<MetricsPort> {
    return await serveMetrics(at, {
      contentType: this.#registry.contentType,
      metrics: async () => {
        this.#show(status())
        return await this.#registry.metrics()
      },
    })
  }

  #gauge (name: string, help: string, labelNames: string[] = []): Gauge {
    return new Gauge({ name: `filesync_client_${name}`, help, labelNames, registers: this.#registers })
  }

  #gauges (): (status: ClientStatus) => void {
    const activity = this.#gauge('activity', '1 for what it does now, 0 for what it does not.', ['doing'])
    const watching = this.#gauge('watching', 'Whether changes are noticed at once; 0: at intervals only.')
    const last = this.#gauge('last_run_timestamp_seconds', 'End of the last run; absent before the first one.')
    const complete = this.#gauge('last_complete_timestamp_seconds', 'End of the last run after which everything was stored, also before the start; absent where there was none.')
    const next = this.#gauge('next_sync_timestamp_seconds', 'When the next run is due; absent while one is under way.')
    const problems = this.#gauge('problems', 'Entries that the last run which came to its end could not store; absent before that.')
    const treeFiles = this.#gauge('tree_files', 'Files of the directory as of the last run which came to its end; absent before that.')
    const treeBytes = this.#gauge('tree_bytes', 'Bytes of those files; absent before that.')
    return status => {
      for (const doing of ACTIVITIES) activity.set({ doing }, status.activity.doing === doing ? 1 : 0)
      watching.set(status.watch.mode === 'watching' ? 1 : 0)
      show(last, status.last === null ? undefined : status.last.atMs / 1000)
      show(complete, seconds(status.lastCompleteAt))
      show(next, seconds(status.nextSyncAt))
      show(problems, this.#ended?.problemCount)
      show(treeFiles, this.#ended?.filesTotal)
      show(treeBytes, this.#ended?.bytesTotal)
    }
  }
}

function seconds (time: string | null): number | undefined {
  return time === null ? undefined : Date.parse(time) / 1000
}

/** What is not known is absent: a 0 would be taken for a value. */
function show (gauge: Gauge, value: number | undefined): void {
  if (value === undefined) gauge.remove()
  else gauge.set(value)
}
