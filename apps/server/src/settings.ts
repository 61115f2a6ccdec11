import { realpath } from 'node:fs/promises'
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

/** What every command of the server takes, as the command line gives it. */
export interface CommonFlags {
  readonly stateDir?: string
  readonly json?: boolean
  readonly quiet?: boolean
}

/** What `start` takes, as the command line gives it. */
export interface StartFlags extends CommonFlags {
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
  readonly legacyPort?: number
  readonly metrics?: ListenAddress
  readonly jsonLogs?: boolean
}

/** What a server runs with, complete and checked. */
export interface ServerSettings {
  readonly archiveRoot: string
  /** Whether what is there becomes the archive of this server, whatever archive it knew. */
  readonly acceptArchive: boolean
  /** Whether the archive may be on a network file system. */
  readonly allowNetworkDisk: boolean
  /** 0: any free port. */
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
  /** When clients may sync; at any time where there are none. */
  readonly windows: readonly DailyWindow[]
  /** Of what all clients send together. */
  readonly limitBytesPerSecond: number | undefined
  readonly keepMs: number
  /** How large the folder of one client may become; undefined for as large as it likes. */
  readonly quotaBytes: number | undefined
  /** Free space that syncs leave alone; undefined for what the archive finds right. */
  readonly reserveBytes: number | undefined
  readonly mode: 'mirror' | 'archive'
  /** Where the original's unprotected protocol is spoken; undefined: nowhere. 0: any free port. */
  readonly legacyPort: number | undefined
  /** Where metrics are shown; undefined: nowhere. */
  readonly metrics: ListenAddress | undefined
  readonly jsonLogs: boolean
  readonly quiet: boolean
}

const DEFAULT_INTERVAL_SECONDS = 300
const MAX_INTERVAL_SECONDS = 24 * 3600
const DEFAULT_KEEP = '30d'
const DEFAULT_SESSION_TIME = '30m'
const MIN_SESSION_TIME_MS = 1_000
/** Below, a client would have no time to take a single frame before it is taken for stuck (`stallTimeoutMs`). */
const MIN_BYTES_PER_SECOND = 50_000

/** Adds the settings that all commands share. */
export function withCommonSettings (command: Command): Command {
  return command
    .addOption(pathSetting('--state-dir <dir>', 'where keys, pins and records are kept'))
    .addOption(pathSetting('--config <file>', 'a file with settings, one "name: value" a line'))
    .addOption(setting('--json', 'print data as JSON'))
    .addOption(setting('--quiet', 'print nothing but errors'))
}

/** Adds the settings of which network to use. */
export function withNetworkSettings (command: Command): Command {
  return command
    .addOption(setting('--bind <address>', 'listen on this address only'))
    .addOption(listSetting('--interface <name>', 'announce on this network interface only; may be given more than once'))
}

/** Adds the settings of `start`. */
export function withStartSettings (command: Command): Command {
  return withNetworkSettings(withCommonSettings(command))
    .addOption(pathSetting('--archive <dir>', 'where the files of all clients are kept'))
    .option('--accept-archive', 'use what is at --archive as the archive from now on, though it is another one than before, or empty')
    .addOption(setting('--allow-network-disk', 'keep the archive on a network file system all the same; no other machine may use it'))
    .addOption(setting('--port <n>', 'TCP port; 0 is any free one', text => parseInteger(text, [0, 65_535])))
    .addOption(setting('--interval <seconds>', 'how often clients come', text => parseInteger(text, [1, MAX_INTERVAL_SECONDS])))
    .addOption(setting('--name <name>', 'what the server calls itself (default: the name of this machine)'))
    .addOption(setting('--no-discovery', 'do not answer clients that look for a server'))
    .addOption(setting('--max-sessions <n>', 'how many clients are served at once', text => parseInteger(text, [1, 64])).default(1))
    .addOption(setting('--session-time <duration>', 'how long a client is served while others wait; then it goes on after them', parseSessionTime).default(parseDuration(DEFAULT_SESSION_TIME), DEFAULT_SESSION_TIME))
    .addOption(listSetting('--window <from-to>', 'sync at these times of the day only, such as 22:00-06:00, by the clock of this machine; may be given more than once'))
    .addOption(setting('--limit <rate>', 'bytes a second at most that all clients send together, those of --legacy-port too, such as 20M', parseSize))
    .addOption(setting('--keep <duration>', 'how long replaced and deleted files are kept', parseDuration).default(parseDuration(DEFAULT_KEEP), DEFAULT_KEEP))
    .addOption(setting('--quota <size>', 'how large the folder of one client may become, versions not counted (default: any size)', parseSize))
    .addOption(setting('--reserve <size>', 'free space of the disk that is never used (default: 1 GiB or 5 %, whichever is more)', parseSize))
    .addOption(setting('--mode <mode>', 'mirror: deleted files move to versions; archive: nothing ever leaves').choices(['mirror', 'archive']).default('mirror'))
    .addOption(setting('--legacy-port <n>', 'serve clients of the original program too, WITHOUT ANY PROTECTION, on this port of its own (off by default)', text => parseInteger(text, [0, 65_535])))
    .addOption(setting('--metrics <host:port>', 'show Prometheus metrics there, under /metrics; PORT alone: to this machine only', parseListenAddress))
    .addOption(setting('--json-logs', 'log JSON objects, one a line'))
}

/** The state directory of a command. */
export function stateDirOf (flags: CommonFlags, terminal: Terminal): string {
  return resolve(flags.stateDir ?? defaultStateDir('server', terminal.env))
}

/** Fills in what was not given: asks for it in a terminal, otherwise takes the default. Throws USAGE. */
export async function completeSettings (flags: StartFlags, terminal: Terminal): Promise<ServerSettings> {
  const asking = canPrompt(terminal) && flags.quiet !== true
  const archive = flags.archive ?? (asking ? await prompt(terminal, 'Directory for the archive:', text => userPath(parseText(text), terminal.env)) : undefined)
  if (archive === undefined) throw new FileSyncError('USAGE', 'Say where the archive is to be kept: --archive DIR.')
  const port = flags.port ?? (asking ? await prompt(terminal, 'TCP port (Enter for any free one):', text => parseInteger(text === '' ? '0' : text, [0, 65_535])) : 0)
  const interval = flags.interval ?? (asking
    ? await prompt(terminal, `Seconds between two syncs (Enter for ${DEFAULT_INTERVAL_SECONDS}):`, text => parseInteger(text === '' ? String(DEFAULT_INTERVAL_SECONDS) : text, [1, MAX_INTERVAL_SECONDS]))
    : DEFAULT_INTERVAL_SECONDS)
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
    mode: flags.mode,
    legacyPort: checkLegacyPort(flags.legacyPort, port),
    metrics: flags.metrics,
    jsonLogs: flags.jsonLogs === true,
    quiet: flags.quiet === true,
  }
}

/** @param sessions how many share the limit, one of the original protocol among them */
function checkLimit (limit: number | undefined, sessions: number): number | undefined {
  const least = MIN_BYTES_PER_SECOND * sessions
  if (limit !== undefined && limit < least) {
    throw new FileSyncError('USAGE', `The limit is too low for ${sessions === 1 ? 'a client' : `${sessions} clients at once`}: they would be taken for stuck. Give ${least / 1000}k or more.`)
  }
  return limit
}

function parseSessionTime (text: string): number {
  const timeMs = parseDuration(text)
  if (timeMs < MIN_SESSION_TIME_MS) throw new FileSyncError('USAGE', `"${text}" is too short for a session. Give a second or more; minutes make sense.`)
  return timeMs
}

// Both protocols on one port would have to guess who speaks first.
function checkLegacyPort (legacyPort: number | undefined, port: number): number | undefined {
  if (legacyPort !== undefined && legacyPort !== 0 && legacyPort === port) {
    throw new FileSyncError('USAGE', `The original protocol needs a port of its own; ${port} is the one of --port. Choose another with --legacy-port.`)
  }
  return legacyPort
}

// Clients create folders and files of any name right below the root, so it has to be a place of its own.
async function checkArchiveRoot (root: string, home: string | undefined): Promise<string> {
  const real = await realpath(root).catch(() => root)
  if ([root, real].some(path => path === parsePath(path).root || path === home)) {
    throw new FileSyncError('USAGE', `The archive may not be ${root} itself, because clients create folders in it. Choose a directory of its own, such as ${resolve(root, 'archive')}.`)
  }
  return root
}

function parseText (text: string): string {
  if (text === '') throw new FileSyncError('USAGE', 'Please type a value.')
  return text
}

/** A whole number within bounds. Throws USAGE. */
export function parseInteger (text: string, [least, most]: readonly [number, number]): number {
  const value = Number(text)
  if (!/^\d+$/u.test(text.trim()) || value < least || value > most) {
    throw new FileSyncError('USAGE', `"${text}" is not a whole number from ${least} to ${most}.`)
  }
  return value
}
