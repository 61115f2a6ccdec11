import { isIPv6 } from 'node:net'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { FileSyncError } from '@filesync/protocol'
import type { Name } from '@filesync/protocol'
import { parseDuration, parseSize } from '@filesync/program'
import type { ListenAddress } from '@filesync/program'
import {
  canPrompt, checkNotInState, defaultStateDir, listSetting, namedPath, namedPathsSetting, pathSetting, prompt, setting,
} from '@filesync/program/node'
import type { Terminal } from '@filesync/program/node'
import type { LinkPolicy } from '@filesync/scanner'
import type { Compression } from '@filesync/transfer'
import type { Command } from 'commander'
import { checkFolders, checkNewFolders, parseFolders } from './folder.ts'
import type { Folder } from './folder.ts'
import { recallFolders } from './folders/folder-memory.ts'

/** The options of every command of the client, as parsed from the command line. */
export interface ClientFlags {
  readonly stateDir?: string
  readonly profile?: string
  readonly json?: boolean
  readonly quiet?: boolean
}

/** The options of every command that talks to a server. */
export interface ServerFlags extends ClientFlags {
  readonly server?: HostPort
  readonly interface?: readonly string[]
}

/** The options of the commands that push a directory. */
export interface PushFlags extends ServerFlags {
  readonly serverName?: string
  readonly folders?: readonly string[]
  readonly links: LinkPolicy
  readonly ignoreFile?: string
  readonly defaultIgnores: boolean
  readonly limit?: number
  readonly compress: Compression
  readonly settle: number
  readonly acceptSource?: boolean
  readonly legacy?: boolean
  readonly id?: string
  readonly metrics?: ListenAddress
}

export interface HostPort {
  readonly host: string
  readonly port: number
}

/** Complete, validated settings for pushing. */
export interface PushSettings {
  readonly folders: readonly Folder[]
  readonly stateDir: string
  readonly server: HostPort | undefined
  /** The paired server to use, by its name or full id. */
  readonly serverName: string | undefined
  readonly interfaces: readonly string[] | undefined
  readonly ignoreFile: string | undefined
  readonly builtInIgnores: boolean
  readonly limitBytesPerSecond: number | undefined
  readonly compression: Compression
  readonly settleMs: number
  /** What happens to symbolic links that lead out of their folder. */
  readonly links: LinkPolicy
  /** Whether a directory is accepted even if it is empty or another one than last time. */
  readonly acceptSource: boolean
  /** The name the client must have been paired under; undefined for no check. */
  readonly id: string | undefined
  /** Set to push to a server of the original program, without any protection. */
  readonly legacy: LegacySettings | undefined
  /** Where to serve metrics; undefined for nowhere. */
  readonly metrics: ListenAddress | undefined
}

export interface LegacySettings {
  readonly server: HostPort
  /** The name the client sends; if null, the server uses the client's address. */
  readonly clientId: string | null
}

const DEFAULT_SETTLE = '2s'

/** Adds the settings that all commands share. */
export function withCommonSettings (command: Command): Command {
  return command
    .addOption(pathSetting('--state-dir <dir>', 'directory for keys, paired servers and records'))
    .addOption(setting('--profile <name>', 'use a separate state, to run several clients as one user', parseProfile))
    .addOption(pathSetting('--config <file>', 'settings file, one "name: value" per line'))
    .addOption(setting('--json', 'print data as JSON'))
    .addOption(setting('--quiet', 'print errors only'))
}

/** Adds the settings of the commands that talk to a server. */
export function withServerSettings (command: Command): Command {
  return withCommonSettings(command)
    .addOption(setting('--server <host:port>', 'connect to this address instead of searching the local network', parseHostPort))
    .addOption(listSetting('--interface <name>', 'search on this network interface only; repeatable'))
}

/** Adds the settings of the commands that push. */
export function withPushSettings (command: Command): Command {
  return withServerName(withSettle(withServerSettings(command)))
    .addOption(namedPathsSetting('--folders <dir>', 'a folder to push if no argument names one, as DIR or NAME=DIR; repeatable'))
    .addOption(pathSetting('--ignore-file <file>', 'a file with more ignore rules, in .gitignore syntax'))
    .addOption(setting('--no-default-ignores', 'also push the temporary files of common programs'))
    .addOption(setting('--limit <rate>', 'send at most this many bytes per second, such as 20M or 500k', parseRate))
    .addOption(setting('--compress <when>', 'whether to compress; auto compresses if the network is the bottleneck and the content shrinks')
      .choices(['auto', 'always', 'never']).default('auto'))
    .addOption(setting('--links <what>', 'symbolic links that lead out of their folder: keep stores them as links, refuse leaves them out')
      .choices(['keep', 'refuse']).default('keep'))
    .addOption(setting('--accept-source', 'push a folder even if it is empty, on another disk, or another directory than last time'))
}

/** Adds the setting that chooses one of several paired servers. */
export function withServerName (command: Command): Command {
  const description = 'the paired server to use for these folders, by name or full id; later runs remember it'
  return command.addOption(setting('--server-name <name>', description))
}

/** Adds the setting for how long a file must be unchanged. */
export function withSettle (command: Command): Command {
  const description = 'how long a file must be unchanged before it is read'
  const option = setting('--settle <duration>', description, parseDuration)
  return command.addOption(option.default(parseDuration(DEFAULT_SETTLE), DEFAULT_SETTLE))
}

/** Adds the setting for pushing to a server of the original program. */
export function withLegacy (command: Command): Command {
  return command.addOption(setting('--legacy', 'push to a server of the original program, WITHOUT ANY PROTECTION; needs --server'))
}

/** Adds the setting for the name that the client asks for when it is paired. */
export function withId (command: Command): Command {
  const description = 'the name to ask for when pairing (default: the host name); a push under another name is refused'
  return command.addOption(setting('--id <id>', description))
}

/** The name of a client by default. */
export function defaultId (): string {
  return hostname()
}

const STATE_DIR = { name: 'filesync-client', family: 'filesync', option: '--state-dir DIR' } as const

/** The state directory that a command uses. Throws USAGE. */
export function stateDirOf (flags: ClientFlags, terminal: Terminal): string {
  if (flags.stateDir !== undefined && flags.profile !== undefined) {
    throw new FileSyncError('USAGE', '--state-dir and --profile exclude each other: both choose the state directory. Give one of them.')
  }
  if (flags.stateDir !== undefined) return resolve(flags.stateDir)
  const base = defaultStateDir(STATE_DIR, terminal.env)
  return resolve(flags.profile === undefined ? base : `${base}-${flags.profile}`)
}

/**
 * Validates the flags. Without folders in the arguments or settings, those that were pushed before are pushed again; if there are none,
 * asks for one if there is a terminal. Throws USAGE.
 */
export async function completePushSettings (given: readonly string[], flags: PushFlags, terminal: Terminal): Promise<PushSettings> {
  const stateDir = stateDirOf(flags, terminal)
  const folders = await chooseFolders(given, flags, { stateDir, terminal })
  for (const { root } of folders) await checkNotInState(stateDir, root, { option: '--state-dir' })
  return {
    folders,
    stateDir,
    server: flags.server,
    serverName: flags.serverName,
    interfaces: flags.interface,
    ignoreFile: flags.ignoreFile,
    builtInIgnores: flags.defaultIgnores,
    limitBytesPerSecond: flags.limit,
    compression: flags.compress,
    settleMs: flags.settle,
    links: flags.links,
    acceptSource: flags.acceptSource === true,
    id: flags.id,
    legacy: legacySettings(flags, folders),
    metrics: flags.metrics,
  }
}

interface FolderSources {
  readonly stateDir: string
  readonly terminal: Terminal
}

async function chooseFolders (given: readonly string[], flags: PushFlags, { stateDir, terminal }: FolderSources): Promise<Folder[]> {
  const remembered = [...await recallFolders(stateDir)].map(([name, { path }]) => ({ name: name as Name, root: path }))
  if (given.length > 0) return checkNewFolders(parseFolders(given.map(parseDirectory)), remembered)
  if (flags.folders !== undefined && flags.folders.length > 0) return checkNewFolders(parseFolders(flags.folders), remembered)
  if (remembered.length > 0) return checkFolders(remembered, true)
  const answer = await promptForDirectory(flags, terminal)
  if (answer !== undefined) return parseFolders([answer])
  throw new FileSyncError('USAGE', 'No folder to push was given, and none was pushed before. Name one or more as arguments, ' +
    'or as a list under "folders" in the settings file.')
}

async function promptForDirectory ({ quiet, json }: ClientFlags, terminal: Terminal): Promise<string | undefined> {
  if (!canPrompt(terminal) || quiet === true || json === true) return undefined
  return await prompt(terminal, 'Folder to push:', text => namedPath(parseDirectory(text), terminal.env))
}

function legacySettings ({ legacy, server, limit, id }: PushFlags, folders: readonly Folder[]): LegacySettings | undefined {
  if (legacy !== true) return undefined
  if (folders.length > 1) {
    throw new FileSyncError('USAGE', `--legacy pushes one folder, and ${folders.length} were given. Push them one after the other, ` +
      'each with its own --id.')
  }
  if (server === undefined) {
    throw new FileSyncError('USAGE', '--legacy needs the address of the server: --server HOST:PORT. ' +
      'A server of the original program is never searched for, because any machine could answer.')
  }
  if (limit !== undefined) throw new FileSyncError('USAGE', '--limit cannot be combined with --legacy. Leave one of them out.')
  if (id !== undefined && (!/^[A-Za-z0-9._-]{1,64}$/u.test(id) || /^\.+$/u.test(id))) {
    throw new FileSyncError('USAGE', `"${id}" is not a valid --id for --legacy. ` +
      'Use up to 64 letters, digits, dots, hyphens and underscores, and not only dots.')
  }
  return { server, clientId: id ?? null }
}

/** `HOST:PORT`, with an IPv6 address in brackets. Throws USAGE. */
export function parseHostPort (text: string): HostPort {
  const match = /^(?:\[([0-9a-fA-F:.%\w-]+)\]|([^:[\]\s/]+)):(\d{1,5})$/u.exec(text.trim())
  const port = Number(match?.[3])
  const host = match?.[1] ?? match?.[2]
  const isBroken = host === undefined || !(port >= 1 && port <= 65_535)
  if (isBroken || (match?.[1] !== undefined && !isIPv6(match[1]))) {
    throw new FileSyncError('USAGE', `"${text}" is not a valid HOST:PORT. Examples: nas.local:4242, 192.168.1.5:4242, [fe80::1%eth0]:4242.`)
  }
  return { host, port }
}

/** At this rate the largest packed file takes about a minute, within the server's timeouts (`answerTimeoutMs`, `stallTimeoutMs`). */
const MIN_BYTES_PER_SECOND = 4000

function parseRate (text: string): number {
  const rate = parseSize(text)
  if (rate < MIN_BYTES_PER_SECOND) {
    throw new FileSyncError('USAGE', 'The limit is below 4k per second; a server would consider this client stuck. ' +
      'Give a higher limit, or leave --limit out to send without one.')
  }
  return rate
}

function parseProfile (text: string): string {
  if (!/^[A-Za-z0-9._-]{1,64}$/u.test(text) || text.startsWith('.')) {
    throw new FileSyncError('USAGE', 'A profile name has up to 64 letters, digits, dots, hyphens and underscores, ' +
      'and does not start with a dot.')
  }
  return text
}

function parseDirectory (text: string): string {
  if (text === '') throw new FileSyncError('USAGE', 'The name of a folder to push is empty. Give the path of a directory.')
  return text
}
