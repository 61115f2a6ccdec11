import { createEventLog } from '@filesync/program'
import type { EventLog } from '@filesync/program'
import { checkStateDir } from '@filesync/program/node'
import type { Terminal } from '@filesync/program/node'
import { systemClock } from '@filesync/protocol/node'
import { legacyBanner } from '../legacy/start-legacy.ts'
import { quietLog } from '../status/quiet-log.ts'
import { startServer } from '../server.ts'
import type { RunningServer } from '../server.ts'
import { completeSettings } from '../settings.ts'
import type { ServerSettings, ServerStartFlags } from '../settings.ts'

/** How long stopping may take before the process exits. */
const STOP_WITHIN_MS = 5_000

/** What every command is given. */
export interface ServerContext {
  readonly terminal: Terminal
  readonly signal: AbortSignal
}

/** `filesync-server start`: serves clients until the signal aborts. */
export async function start (flags: ServerStartFlags, { terminal, signal }: ServerContext): Promise<void> {
  const settings = await completeSettings(flags, terminal)
  await checkStateDir(settings.stateDir, settings.archiveRoot, { treeName: 'the archive', option: '--state-dir' })
  const isQuiet = settings.quiet && !settings.jsonLogs
  const write = (line: string): void => { (isQuiet ? terminal.stderr : terminal.stdout).write(line) }
  const everything = createEventLog({ write, json: settings.jsonLogs, now: () => new Date().toISOString() })
  const log = isQuiet ? quietLog(everything) : everything
  const server = await startServer(settings, log)
  try {
    logStarted(server, settings, log)
    await untilAborted(signal)
  } finally {
    const cancelExit = signal.aborted ? exitIfStuck(terminal) : undefined
    await server.close()
    cancelExit?.()
  }
}

function logStarted (server: RunningServer, { name, archiveRoot, metrics, discovery }: ServerSettings, log: EventLog): void {
  const { port, legacyPort, metricsPort } = server
  const facts = {
    port,
    discovery: server.discovery,
    id: server.id,
    ...(legacyPort !== undefined && { legacyPort }),
    ...(metricsPort !== undefined && { metricsPort }),
  }
  log(
    { event: 'listening', ...facts },
    `"${name}" is ready on port ${port}${server.discovery ? '' : ', not discoverable'}; the archive is ${archiveRoot}`,
  )
  if (metricsPort !== undefined && metrics !== undefined) {
    const { host } = metrics
    log({ event: 'metrics-listening', host, port: metricsPort }, `metrics are served at http://${host}:${metricsPort}/metrics`)
  }
  if (legacyPort !== undefined) log({ event: 'legacy-listening', port: legacyPort, protected: false }, legacyBanner(legacyPort))
  if (discovery && !server.discovery) {
    log({ event: 'not-discoverable' }, 'no network interface is usable for discovery; until one is, clients need --server HOST:PORT')
  }
}

/** A disk that does not answer must not keep the machine from shutting down. The next start recovers what was under way. */
function exitIfStuck (terminal: Terminal): () => void {
  return systemClock.schedule(STOP_WITHIN_MS, () => {
    terminal.stderr.write('filesync-server: the archive disk is not responding; exiting without flushing the last files. ' +
      'Everything reported as stored is safe, and clients send the rest again.\n')
    process.exit(1)
  })
}

async function untilAborted (signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>(resolve => { signal.addEventListener('abort', () => { resolve() }, { once: true }) })
}
