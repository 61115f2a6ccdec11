import { isIPv6 } from 'node:net'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { FileSyncError } from '@filesync/protocol'
import { parseDuration, parseSize } from '@filesync/program'
import type { ListenAddress } from '@filesync/program'
import { canPrompt, checkStateDir, defaultStateDir, listSetting, pathSetting, prompt, setting, userPath } from '@filesync/program/node'
import type { Terminal } from '@filesync/program/node'
import type { Compression } from '@filesync/transfer'
import type { Command } from 'commander'

/** What every command of the client takes, as the command line gives it. */
export interface CommonFlags {
  readonly stateDir?: string
  readonly profile?: string
  readonly json?: boolean
  readonly quiet?: boolean
}

/** What every command takes that speaks to a server. */
export interface ServerFlags extends CommonFlags {
  readonly server?: HostPort
  readonly interface?: readonly string[]
}

/** What the commands take that push a directory. */
export interface PushFlags extends ServerFlags {
  readonly serverName?: string
  readonly directory?: string
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

/** What pushing runs with, complete and checked. */
export interface PushSettings {
  readonly root: string
  readonly stateDir: string
  readonly server: HostPort | undefined
  /** Which of several paired servers is meant, by its name or full id. */
  readonly serverName: string | undefined
  readonly interfaces: readonly string[] | undefined
  readonly ignoreFile: string | undefined
  readonly builtInIgnores: boolean
  readonly limitBytesPerSecond: number | undefined
  readonly compression: Compression
  readonly settleMs: number
  /** Whether the directory is taken as it is, even where it is empty or on another disk than last time. */
  readonly acceptSource: boolean
  /** What the client was paired as, where that is to be made sure of. */
  readonly id: string | undefined
  /** Set where a server of the original program is spoken to, without any protection. */
  readonly legacy: LegacySettings | undefined
  /** Where metrics are shown; undefined: nowhere. */
  readonly metrics: ListenAddress | undefined
}

export interface LegacySettings {
  readonly server: HostPort
  /** What the client calls itself; null: the server goes by its address. */
  readonly clientId: string | null
}

const DEFAULT_SETTLE = '2s'

/** Adds the settings that all commands share. */
export function withCommonSettings (command: Command): Command {
  return command
    .addOption(pathSetting('--state-dir <dir>', 'where keys, pins and records are kept'))
    .addOption(setting('--profile <name>', 'a state of its own, for several clients of one user', parseProfile))
    .addOption(pathSetting('--config <file>', 'a file with settings, one "name: value" a line'))
    .addOption(setting('--json', 'print data as JSON'))
    .addOption(setting('--quiet', 'print nothing but errors'))
}

/** Adds the settings of the commands that speak to a server. */
export function withServerSettings (command: Command): Command {
  return withCommonSettings(command)
    .addOption(setting('--server <host:port>', 'where the server is, instead of looking for it', parseHostPort))
    .addOption(listSetting('--interface <name>', 'look for the server on this network interface only; may be given more than once'))
}

/** Adds the settings of the commands that push. */
export function withPushSettings (command: Command): Command {
  return withServerName(withSettle(withServerSettings(command)))
    .addOption(pathSetting('--directory <dir>', 'the directory to push, where it does not stand as an argument'))
    .addOption(pathSetting('--ignore-file <file>', 'a file with more rules of what to leave out, in the syntax of .gitignore'))
    .addOption(setting('--no-default-ignores', 'push temporary files of common programs too'))
    .addOption(setting('--limit <rate>', 'bytes a second at most, such as 20M or 500k', parseRate))
    .addOption(setting('--compress <when>', 'auto: where the network is the limit and the content shrinks').choices(['auto', 'always', 'never']).default('auto'))
    .addOption(setting('--accept-source', 'push although the directory is empty, or on another disk, unlike last time'))
}

/** Which of several paired servers a directory goes to. */
export function withServerName (command: Command): Command {
  return command.addOption(setting('--server-name <name>', 'which paired server the directory goes to, by name or full id; later runs remember it'))
}

/** How long a file has to be quiet. */
export function withSettle (command: Command): Command {
  return command.addOption(setting('--settle <duration>', 'how long a file has to be quiet before it is taken', parseDuration).default(parseDuration(DEFAULT_SETTLE), DEFAULT_SETTLE))
}

/** Lets a command speak to a server of the original program. */
export function withLegacy (command: Command): Command {
  return command.addOption(setting('--legacy', 'speak to a server of the original program, WITHOUT ANY PROTECTION; needs --server'))
}

/** The name that the client wishes for itself when it is paired. */
export function withId (command: Command): Command {
  return command.addOption(setting('--id <id>', 'the name this client asks for when it is paired (default: the name of this machine); a push under another one is refused'))
}

/** The name a client has unless told. */
export function defaultId (): string {
  return hostname()
}

/** The state directory of a command. Throws USAGE. */
export function stateDirOf (flags: CommonFlags, terminal: Terminal): string {
  if (flags.stateDir !== undefined && flags.profile !== undefined) {
    throw new FileSyncError('USAGE', 'Give --state-dir or --profile, not both: each names the place of the state.')
  }
  if (flags.stateDir !== undefined) return resolve(flags.stateDir)
  const base = defaultStateDir('client', terminal.env)
  return resolve(flags.profile === undefined ? base : `${base}-${flags.profile}`)
}

/** Fills in what was not given: asks for it in a terminal. Throws USAGE. */
export async function completePushSettings (directory: string | undefined, flags: PushFlags, terminal: Terminal): Promise<PushSettings> {
  const asking = canPrompt(terminal) && flags.quiet !== true && flags.json !== true
  const given = directory ?? flags.directory ?? (asking ? await prompt(terminal, 'Directory to push:', text => userPath(parseText(text), terminal.env)) : undefined)
  if (given === undefined) throw new FileSyncError('USAGE', 'Say which directory to push, such as: filesync-client push /home/me/photos')
  const root = parseText(given)
  const stateDir = stateDirOf(flags, terminal)
  await checkStateDir(stateDir, root, 'the directory to push,')
  return {
    root,
    stateDir,
    server: flags.server,
    serverName: flags.serverName,
    interfaces: flags.interface,
    ignoreFile: flags.ignoreFile,
    builtInIgnores: flags.defaultIgnores,
    limitBytesPerSecond: flags.limit,
    compression: flags.compress,
    settleMs: flags.settle,
    acceptSource: flags.acceptSource === true,
    id: flags.id,
    legacy: legacySettings(flags),
    metrics: flags.metrics,
  }
}

function legacySettings ({ legacy, server, limit, id }: PushFlags): LegacySettings | undefined {
  if (legacy !== true) return undefined
  if (server === undefined) throw new FileSyncError('USAGE', 'With --legacy say where the server of the original program is: --server HOST:PORT. It is never looked for, because anybody could answer.')
  if (limit !== undefined) throw new FileSyncError('USAGE', 'With --legacy there is no --limit.')
  if (id !== undefined && (!/^[A-Za-z0-9._-]{1,64}$/u.test(id) || /^\.+$/u.test(id))) {
    throw new FileSyncError('USAGE', `"${id}" cannot be an id for --legacy: it may have up to 64 letters, digits, dots, hyphens and underscores.`)
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
    throw new FileSyncError('USAGE', `"${text}" is not HOST:PORT. Write for example nas.local:4242, 192.168.1.5:4242 or [fe80::1%eth0]:4242.`)
  }
  return { host, port }
}

/** The largest packed file then takes about a minute, within the server's patience (`answerTimeoutMs`, `stallTimeoutMs`). */
const MIN_BYTES_PER_SECOND = 4000

function parseRate (text: string): number {
  const rate = parseSize(text)
  if (rate < MIN_BYTES_PER_SECOND) {
    throw new FileSyncError('USAGE', 'The limit is below 4k a second, at which a server would take this client for stuck. Give a higher one, or leave --limit out to send without a limit.')
  }
  return rate
}

function parseProfile (text: string): string {
  if (!/^[A-Za-z0-9._-]{1,64}$/u.test(text) || text.startsWith('.')) {
    throw new FileSyncError('USAGE', 'The name of a profile has letters, digits, dots, hyphens and underscores.')
  }
  return text
}

function parseText (text: string): string {
  if (text === '') throw new FileSyncError('USAGE', 'The name of the directory to push is empty.')
  return text
}
