import { resolve } from 'node:path'
import { createEventLog, EventFeed, formatDuration, parseDuration, parseListenAddress } from '@filesync/program'
import type { ListenAddress, LogEvent } from '@filesync/program'
import {
  createProgram, defaultStateDir, pathSetting, runProgram, serveControl, serveMetrics, setting, showStatus, stopSignal,
} from '@filesync/program/node'

// A small daemon: it counts its beats, logs them, serves metrics, and answers `status` of another process.
//
//   node heartbeat.ts start --every 2s --metrics 127.0.0.1:9100
//   node heartbeat.ts status [--follow] [--json]

interface Flags {
  readonly stateDir?: string
  readonly every: number
  readonly metrics?: ListenAddress
  readonly json?: boolean
  readonly follow?: boolean
}

interface Status {
  readonly beats: number
  readonly startedAtMs: number
}

const terminal = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: process.env }
const signal = stopSignal()
const NAME = { name: 'heartbeat', option: '--state-dir DIR' }
const stateDirOf = ({ stateDir }: Flags): string => resolve(stateDir ?? defaultStateDir(NAME, terminal.env))

async function start (flags: Flags): Promise<void> {
  const write = (line: string): void => { process.stdout.write(line) }
  const log = createEventLog({ write, json: flags.json === true, now: () => new Date().toISOString() })
  const feed = new EventFeed()
  const status = { beats: 0, startedAtMs: Date.now() }
  const note = (event: LogEvent, text: string): void => {
    log(event, text)
    feed.push({ ...event, time: new Date().toISOString() })
  }
  const control = await serveControl(stateDirOf(flags), {
    'GET /status': () => status,
    'GET /events': (_, gone) => feed.read(AbortSignal.any([gone, signal])),
  })
  const metrics = flags.metrics === undefined ? undefined : await serveMetrics(flags.metrics, {
    contentType: 'text/plain; version=0.0.4',
    metrics: async () => `# TYPE heartbeat_beats_total counter\nheartbeat_beats_total ${status.beats}\n`,
  })
  note({ event: 'started', metricsPort: metrics?.port }, `beats every ${formatDuration(flags.every)}`)
  const timer = setInterval(() => { note({ event: 'beat', beats: ++status.beats }, `beat ${status.beats}`) }, flags.every)
  await new Promise(stopped => { signal.addEventListener('abort', stopped, { once: true }) })
  clearInterval(timer)
  await metrics?.close()
  await control.close()
}

const program = createProgram({ name: NAME.name, version: '1.0.0', description: 'Beats until it is stopped.' })

program.command('start', { isDefault: true }).description('beat')
  .addOption(pathSetting('--state-dir <dir>', 'directory of the control socket'))
  .addOption(pathSetting('--config <file>', 'settings file, one "name: value" per line'))
  .addOption(setting('--every <duration>', 'how often to beat', parseDuration).default(1_000, '1s'))
  .addOption(setting('--metrics <host:port>', 'serve metrics there', parseListenAddress))
  .addOption(setting('--json', 'log as JSON'))
  .action(start)

program.command('status').description('what the running daemon does')
  .addOption(pathSetting('--state-dir <dir>', 'directory of the control socket'))
  .addOption(setting('--follow', 'print events as they happen'))
  .addOption(setting('--json', 'print as JSON'))
  .action(async (flags: Flags) => {
    await showStatus<Status>({
      stateDir: stateDirOf(flags),
      follow: flags.follow === true,
      json: flags.json === true,
      describe: ({ beats, startedAtMs }, nowMs) => `${beats} beats in ${formatDuration(nowMs - startedAtMs)}\n`,
      notRunning: new Error('heartbeat does not run.'),
    }, { terminal, signal })
  })

process.exitCode = await runProgram(program, process.argv.slice(2), terminal)
