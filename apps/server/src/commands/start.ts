import { createEventLog } from '@filesync/program'
import { checkStateDir } from '@filesync/program/node'
import type { Terminal } from '@filesync/program/node'
import { systemClock } from '@filesync/protocol/node'
import { legacyBanner } from '../legacy/start-legacy.ts'
import { quietLog } from '../status/quiet-log.ts'
import { startServer } from '../server.ts'
import { completeSettings } from '../settings.ts'
import type { ServerStartFlags } from '../settings.ts'

/** How long a stop may take. */
const STOP_WITHIN_MS = 5_000

/** Where a command runs. */
export interface ServerContext {
  readonly terminal: Terminal
  readonly signal: AbortSignal
}

/** `filesync-server start`: serves until it is stopped. */
export async function start (flags: ServerStartFlags, { terminal, signal }: ServerContext): Promise<void> {
  const settings = await completeSettings(flags, terminal)
  await checkStateDir(settings.stateDir, settings.archiveRoot, 'the archive')
  const isQuiet = settings.quiet && !settings.jsonLogs
  const write = (line: string): void => { (isQuiet ? terminal.stderr : terminal.stdout).write(line) }
  const all = createEventLog({ write, json: settings.jsonLogs, now: () => new Date().toISOString() })
  const log = isQuiet ? quietLog(all) : all
  const server = await startServer(settings, log)
  try {
    log(
      { event: 'listening', port: server.port, discovery: server.discovery, id: server.id, ...(server.legacyPort !== undefined && { legacyPort: server.legacyPort }), ...(server.metricsPort !== undefined && { metricsPort: server.metricsPort }) },
      `"${settings.name}" is ready on port ${server.port}${server.discovery ? '' : ', not discoverable'}; the archive is ${settings.archiveRoot}`,
    )
    if (server.metricsPort !== undefined && settings.metrics !== undefined) log({ event: 'metrics-listening', host: settings.metrics.host, port: server.metricsPort }, `metrics are at http://${settings.metrics.host}:${server.metricsPort}/metrics`)
    if (server.legacyPort !== undefined) log({ event: 'legacy-listening', port: server.legacyPort, protected: false }, legacyBanner(server.legacyPort))
    if (settings.discovery && !server.discovery) {
      log({ event: 'not-discoverable' }, 'no network interface can be used for discovery; clients need --server HOST:PORT until one can')
    }
    await untilAborted(signal)
  } finally {
    const cancel = signal.aborted ? exitIfStuck(terminal) : undefined
    await server.close()
    cancel?.()
  }
}

/** A disk that does not answer must not keep a machine from going down. The next start puts in order what this one left. */
function exitIfStuck (terminal: Terminal): () => void {
  return systemClock.schedule(STOP_WITHIN_MS, () => {
    terminal.stderr.write('filesync-server: the disk takes too long to write out what arrived last, so the server ends without. What was reported as stored is safe; clients send the rest again.\n')
    process.exit(1)
  })
}

async function untilAborted (signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>(resolve => { signal.addEventListener('abort', () => { resolve() }, { once: true }) })
}
