import { realpath } from 'node:fs/promises'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { parse as parsePath, resolve } from 'node:path'
import { FileSyncError } from '@filesync/protocol'
import { parseDuration, parseListenAddress, parseSize } from '@filesync/program'
import type { ListenAddress } from '@filesync/program'
import { canPrompt, defaultStateDir, homeDirectory, listSetting, pathSetting, prompt, setting, userPath } from '@filesync/program/node'
import type { Terminal } from '@filesync/program/node'
import type { Command } from 'commander'
import { parseWindow } from './schedule/windows.ts'
import type { DailyWindow } from './schedule/windows.ts'

/** The flags that every command of the server has, as parsed. */
export interface ServerCommonFlags {
  readonly stateDir?: string
  readonly json?: boolean
  readonly quiet?: boolean
}

/** The flags of `start`, as parsed. */
export interface ServerStartFlags extends ServerCommonFlags {
  readonly archive?: string
  readonly acceptArchive?: boolean
  readonly allowNetworkDisk?: boolean
  readonly port?: number
  readonly interval?: number
  readonly name?: string
  readonly bind?: string
  readonly interface?: readonly string[]
  readonly discovery: boolean
  readonly maxSessions: number
  readonly sessionTime: number
  readonly window?: readonly string[]
  readonly limit?: number
  readonly keep: number
  readonly quota?: number
  readonly reserve?: number
  readonly mode: 'mirror' | 'archive'
  /** False with `--no-client-restore`. */
  readonly clientRestore: boolean
  readonly legacyPort?: number
  readonly metrics?: ListenAddress
  readonly jsonLogs?: boolean
}

/** The settings of a server, complete and checked. */
export interface ServerSettings {
  readonly archiveRoot: string
  /** Use the archive at `archiveRoot` even if the server knows another one. */
  readonly acceptArchive: boolean
  /** The archive may be on a network file system. */
  readonly allowNetworkDisk: boolean
  /** 0 for any free port. */
  readonly port: number
  readonly intervalMs: number
  readonly name: string
  readonly stateDir: string
  readonly bind: string | undefined
  readonly interfaces: readonly string[] | undefined
  readonly discovery: boolean
  readonly maxSessions: number
  /** How long a session may go on while others wait. */
  readonly sessionTimeMs: number
  /** When clients may sync; empty for any time. */
  readonly windows: readonly DailyWindow[]
  /** Limits what all clients together send; undefined for no limit. */
  readonly limitBytesPerSecond: number | undefined
  readonly keepMs: number
  /** How large the mirror of one client may become; undefined for any size. */
  readonly quotaBytes: number | undefined
  /** Disk space that syncs leave free; undefined for the archive's default. */
  readonly reserveBytes: number | undefined
  /** What happens to files that a client removed (`--mode`): they leave the mirror, or stay in it. */
  readonly deletions: 'mirror' | 'archive'
  /** The port of the original program's unprotected protocol; undefined if it is off, 0 for any free port. */
  /** Whether clients may read their files and history back. */
  readonly clientRestore: boolean
  readonly legacyPort: number | undefined
  /** Where metrics are served; undefined if they are off. */
  readonly metrics: ListenAddress | undefined
  readonly jsonLogs: boolean
  readonly quiet: boolean
}

const DEFAULT_INTERVAL_SECONDS = 300
const MAX_INTERVAL_SECONDS = 24 * 3600
const DEFAULT_KEEP = '30d'
const DEFAULT_SESSION_TIME = '30m'
const MIN_SESSION_TIME_MS = 1_000
/** At a lower rate, a single frame could take longer than a peer may take for one (`LIMITS.stallTimeoutMs`). */
const MIN_BYTES_PER_SECOND = 50_000

/** Adds the settings that all commands share. */
export function withCommonSettings (command: Command): Command {
  return command
    .addOption(pathSetting('--state-dir <dir>', 'directory for keys, paired clients and records'))
    .addOption(pathSetting('--config <file>', 'settings file, one "name: value" per line'))
    .addOption(setting('--json', 'print data as JSON'))
    .addOption(setting('--quiet', 'print errors only'))
}

function parseAddress (text: string): string {
  if (isIP(text) === 0) throw new FileSyncError('USAGE', `"${text}" is not an IP address. Write for example 192.168.1.5 or fe80::1.`)
  return text
}

/** Adds the settings that choose the network. */
export function withNetworkSettings (command: Command): Command {
  return command
    .addOption(setting('--bind <address>', 'listen on this address only', parseAddress))
    .addOption(listSetting('--interface <name>', 'announce on this network interface only; repeatable'))
}

/** Adds the settings of `start`. */
export function withStartSettings (command: Command): Command {
  return withNetworkSettings(withCommonSettings(command))
    .addOption(pathSetting('--archive <dir>', 'directory for the files of all clients'))
    .option('--accept-archive', 'use the archive at --archive from now on, even if it is empty or another one than before')
    .addOption(setting('--allow-network-disk', 'allow an archive on a network file system; no other machine may use it'))
    .addOption(setting('--port <n>', 'TCP port; 0 for any free one', text => parseInteger(text, [0, 65_535])))
    .addOption(setting('--interval <seconds>', 'time between syncs of a client', text => parseInteger(text, [1, MAX_INTERVAL_SECONDS])))
    .addOption(setting('--name <name>', 'name that clients see (default: the host name)'))
    .addOption(setting('--no-discovery', 'do not answer clients that search for a server'))
    .addOption(setting('--max-sessions <n>', 'how many clients sync at the same time', text => parseInteger(text, [1, 64])).default(1))
    .addOption(setting('--session-time <duration>', 'how long a client may sync while others wait, then it queues again', parseSessionTime)
      .default(parseDuration(DEFAULT_SESSION_TIME), DEFAULT_SESSION_TIME))
    .addOption(listSetting('--window <from-to>', 'sync only at this time of day, such as 22:00-06:00, in local time; repeatable'))
    .addOption(setting('--limit <rate>', 'bytes per second from all clients together, --legacy-port included, such as 20M', parseSize))
    .addOption(setting('--keep <duration>', 'how long replaced and deleted files are kept as versions', parseDuration)
      .default(parseDuration(DEFAULT_KEEP), DEFAULT_KEEP))
    .addOption(setting('--quota <size>', 'maximum size of one client\'s files, without versions (default: no limit)', parseSize))
    .addOption(setting('--reserve <size>', 'disk space that is always left free (default: 1 GiB or 5 %, whichever is more)', parseSize))
    .addOption(setting('--mode <mode>', 'mirror: files that a client deletes move to versions; archive: they stay')
      .choices(['mirror', 'archive']).default('mirror'))
    .addOption(setting('--no-client-restore', 'let clients only write: they cannot read back files, names or history'))
    .addOption(setting(
      '--legacy-port <n>', 'also serve clients of the original program, WITHOUT ANY PROTECTION, on this separate port (default: off)',
      text => parseInteger(text, [0, 65_535]),
    ))
    .addOption(setting(
      '--metrics <host:port>', 'serve Prometheus metrics at http://HOST:PORT/metrics; PORT alone: to this machine only', parseListenAddress,
    ))
    .addOption(setting('--json-logs', 'log one JSON object per line'))
}

const STATE_DIR = { name: 'filesync-server', family: 'filesync', isService: true, option: '--state-dir DIR' } as const

/** The state directory of a command. */
export function stateDirOf (flags: ServerCommonFlags, terminal: Terminal): string {
  return resolve(flags.stateDir ?? defaultStateDir(STATE_DIR, terminal.env))
}

/** Fills in what is missing: asks for it in a terminal, and otherwise uses the default. Throws USAGE. */
export async function completeSettings (flags: ServerStartFlags, terminal: Terminal): Promise<ServerSettings> {
  const canAsk = canPrompt(terminal) && flags.quiet !== true
  const askFor = async <T>(question: string, parse: (text: string) => T): Promise<T | undefined> =>
    canAsk ? await prompt(terminal, question, parse) : undefined
  const archive = flags.archive ?? await askFor('Directory for the archive:', text => userPath(parseText(text), terminal.env))
  if (archive === undefined) throw new FileSyncError('USAGE', 'The directory for the archive is missing. Give it with --archive DIR.')
  const port = flags.port ??
    await askFor('TCP port (Enter for any free one):', text => parseInteger(text === '' ? '0' : text, [0, 65_535])) ?? 0
  const interval = flags.interval ??
    await askFor(`Seconds between two syncs (Enter for ${DEFAULT_INTERVAL_SECONDS}):`, parseInterval) ?? DEFAULT_INTERVAL_SECONDS
  return {
    archiveRoot: await checkArchiveRoot(resolve(archive), homeDirectory(terminal.env)),
    acceptArchive: flags.acceptArchive === true,
    allowNetworkDisk: flags.allowNetworkDisk === true,
    port,
    intervalMs: interval * 1000,
    name: flags.name ?? hostname(),
    stateDir: stateDirOf(flags, terminal),
    bind: flags.bind,
    interfaces: flags.interface,
    discovery: flags.discovery,
    maxSessions: flags.maxSessions,
    sessionTimeMs: flags.sessionTime,
    windows: (flags.window ?? []).map(parseWindow),
    limitBytesPerSecond: checkLimit(flags.limit, flags.maxSessions + (flags.legacyPort === undefined ? 0 : 1)),
    keepMs: flags.keep,
    quotaBytes: flags.quota,
    reserveBytes: flags.reserve,
    deletions: flags.mode,
    clientRestore: flags.clientRestore,
    legacyPort: checkLegacyPort(flags.legacyPort, port),
    metrics: flags.metrics,
    jsonLogs: flags.jsonLogs === true,
    quiet: flags.quiet === true,
  }
}

function parseInterval (text: string): number {
  return parseInteger(text === '' ? String(DEFAULT_INTERVAL_SECONDS) : text, [1, MAX_INTERVAL_SECONDS])
}

/** @param sessions how many sessions share the limit; legacy clients count as one */
function checkLimit (limit: number | undefined, sessions: number): number | undefined {
  const least = MIN_BYTES_PER_SECOND * sessions
  if (limit !== undefined && limit < least) {
    const clients = sessions === 1 ? 'a client' : `${sessions} clients at once`
    throw new FileSyncError('USAGE', `The limit is too low for ${clients}: their connections would time out. Use ${least / 1000}k or more.`)
  }
  return limit
}

function parseSessionTime (text: string): number {
  const timeMs = parseDuration(text)
  if (timeMs < MIN_SESSION_TIME_MS) {
    throw new FileSyncError('USAGE', `"${text}" is too short for a session. Use at least one second, better some minutes.`)
  }
  return timeMs
}

// On a shared port the server would have to guess which side speaks first.
function checkLegacyPort (legacyPort: number | undefined, port: number): number | undefined {
  if (legacyPort !== undefined && legacyPort !== 0 && legacyPort === port) {
    throw new FileSyncError('USAGE', `--legacy-port and --port are both ${port}. The original protocol needs a separate port.`)
  }
  return legacyPort
}

// Clients create folders of any name directly below the root, so it needs a directory of its own.
async function checkArchiveRoot (root: string, home: string | undefined): Promise<string> {
  const real = await realpath(root).catch(() => root)
  if ([root, real].some(path => path === parsePath(path).root || path === home)) {
    const instead = resolve(root, 'archive')
    const why = `The archive cannot be ${root} itself, because clients create folders in it.`
    throw new FileSyncError('USAGE', `${why} Use a directory such as ${instead}.`)
  }
  return root
}

function parseText (text: string): string {
  if (text === '') throw new FileSyncError('USAGE', 'A value is required.')
  return text
}

/** Parses a whole number within bounds, both included. Throws USAGE. */
export function parseInteger (text: string, [least, most]: readonly [number, number]): number {
  const value = Number(text)
  if (!/^\d+$/u.test(text.trim()) || value < least || value > most) {
    throw new FileSyncError('USAGE', `"${text}" is not a whole number from ${least} to ${most}.`)
  }
  return value
}
