import { chmodSync, existsSync, mkdirSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Children, Started } from './children.ts'

const START_TRIES = 200
const START_PAUSE_MS = 10
/** sshd must be started by its absolute path. */
const SSHD = '/usr/sbin/sshd'

/** A server on the loopback interface that rsync can push to. */
export interface RsyncServer {
  readonly process: Started
  /** The options that rsync needs to reach it. */
  readonly options: readonly string[]
  readonly target: string
}

/** Starts a server for a destination, with its files in an empty directory. */
export type StartServer = (home: string, destination: string, children: Children) => Promise<RsyncServer>

/** rsync's own daemon, unencrypted, configured as in its manual. */
export const startDaemon: StartServer = async (home, destination, children) => {
  const port = await freePort()
  const config = join(home, 'rsyncd.conf')
  await writeFile(config, daemonConfiguration(destination, port))
  const process = children.start('rsync', ['--daemon', '--no-detach', `--config=${config}`, `--log-file=${join(home, 'rsyncd.log')}`])
  await waitUntilAnswering(process, port, children)
  return { process, options: [], target: `rsync://127.0.0.1:${port}/bench/` }
}

/** OpenSSH with its default algorithms and fresh keys. */
export const startSshd: StartServer = async (home, destination, children) => {
  const port = await freePort()
  const config = await configureSshd(home, port, children)
  const process = children.start(SSHD, ['-D', '-e', '-f', config])
  await waitUntilAnswering(process, port, children)
  const hostKey = await readFile(join(home, 'host.pub'), 'utf8')
  await writeFile(join(home, 'known_hosts'), `[127.0.0.1]:${port} ${hostKey}`)
  const ssh = [
    'ssh', '-F', '/dev/null', '-p', String(port), '-i', join(home, 'user'), '-o', `UserKnownHostsFile=${join(home, 'known_hosts')}`,
    '-o', 'StrictHostKeyChecking=yes', '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes',
  ]
  return { process, options: ['-e', ssh.join(' ')], target: `${userInfo().username}@127.0.0.1:${destination}/` }
}

/** Why rsync cannot be measured through ssh on this machine; undefined if it can. */
export async function sshdProblem (home: string, children: Children): Promise<string | undefined> {
  if (!existsSync(SSHD)) return `${SSHD} is not installed`
  mkdirSync(home)
  const { code, stderr } = await children.start(SSHD, ['-t', '-f', await configureSshd(home, 1, children)]).ended
  return code === 0 ? undefined : stderr.trim()
}

async function configureSshd (home: string, port: number, children: Children): Promise<string> {
  for (const name of ['host', 'user']) await children.run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(home, name)])
  chmodSync(home, 0o700)
  const config = join(home, 'sshd_config')
  const settings = [
    `ListenAddress 127.0.0.1:${port}`, `HostKey ${join(home, 'host')}`, `AuthorizedKeysFile ${join(home, 'user.pub')}`, 'PidFile none',
    // The parent directory is writable for all users.
    'StrictModes no', 'PasswordAuthentication no', 'KbdInteractiveAuthentication no', 'PermitRootLogin prohibit-password', 'PrintMotd no',
  ]
  await writeFile(config, `${settings.join('\n')}\n`)
  return config
}

function daemonConfiguration (module: string, port: number): string {
  // If root starts it, the daemon would write as the user nobody.
  const owner = process.getuid?.() === 0 ? 'uid = 0\ngid = 0\n' : ''
  return `address = 127.0.0.1\nport = ${port}\nuse chroot = no\n${owner}[bench]\npath = ${module}\nread only = no\n`
}

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Stops the process and throws if it does not accept connections. */
async function waitUntilAnswering (server: Started, port: number, children: Children): Promise<void> {
  for (let tries = 1; ; tries++) {
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return
    } catch (error) {
      if (tries < START_TRIES) await sleep(START_PAUSE_MS)
      else {
        await children.stop(server)
        throw error
      }
    } finally {
      socket.destroy()
    }
  }
}
