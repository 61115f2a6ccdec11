import { mkdir } from 'node:fs/promises'
import type { PushResult } from '@filesync/client'
import { Wire } from './network-wire.ts'
import type { Machine, Running, RunOptions } from './network-wire.ts'
import { CLIENT_PROGRAM, SERVER_PROGRAM, Stage } from './programs.ts'
import type { Finished } from './programs.ts'

/** A server that is up. */
export interface NetworkServer {
  readonly running: Running
  readonly port: number
  /** First symbols of its device id, as offers have them. */
  readonly idPrefix: string
}

/** What `doctor --json` found. */
export interface Found {
  readonly check: string
  readonly level: string
  readonly what: string
  readonly fix?: string
}

/** A wire, the files of the machines on it, and what people do there. */
export class Site {
  readonly wire: Wire = new Wire()
  readonly #stage: Stage

  private constructor (stage: Stage) {
    this.#stage = stage
  }

  static async open (): Promise<Site> {
    return new Site(await Stage.open())
  }

  path (...names: string[]): string {
    return this.#stage.path(...names)
  }

  /** Starts a server, and waits until it is ready. Its name is that of its state directory. */
  async serve (
    machine: Machine,
    name: string,
    { args = [], ...options }: RunOptions & { readonly args?: readonly string[] } = {}
  ): Promise<NetworkServer> {
    const running = machine.start(
      SERVER_PROGRAM,
      ['start', '--archive', this.path(`${name}-archive`), '--state-dir', this.path(name), '--name', name, '--json-logs', ...args],
      options
    )
    const { port, id } = await running.line(({ event }) => event === 'listening')
    return { running, port: Number(port), idPrefix: String(id).replaceAll('-', '').slice(0, 16) }
  }

  /** Makes a client and a server trust each other by hand, so that neither knows where the other is. */
  async introduce (client: string, server: string): Promise<void> {
    await this.#stage.introduce(client, server)
  }

  async source (name = 'source'): Promise<string> {
    await mkdir(this.path(name), { recursive: true })
    return this.path(name)
  }

  /** Starts a client that keeps running. Its name is that of its state directory. */
  async startClient (machine: Machine, client: string, args: readonly string[] = []): Promise<Running> {
    return machine.start(CLIENT_PROGRAM, await this.#clientArgs('start', client, args))
  }

  /** Pushes once. */
  async push (machine: Machine, client: string, args: readonly string[] = []): Promise<Finished & { readonly result: PushResult }> {
    const finished = await machine.run(CLIENT_PROGRAM, await this.#clientArgs('push', client, args))
    return { ...finished, result: JSON.parse(finished.stdout.trimEnd().split('\n').at(-1) ?? '{}') as PushResult }
  }

  async doctor (
    machine: Machine,
    state: string,
    { program = CLIENT_PROGRAM, args = [] }: { readonly program?: string, readonly args?: readonly string[] } = {}
  ): Promise<{ readonly code: number, readonly findings: readonly Found[] }> {
    const { code, stdout, stderr } = await machine.run(program, ['doctor', '--json', '--state-dir', this.path(state), ...args])
    if (stdout === '') throw new Error(stderr)
    return { code, findings: stdout.split('\n').map(line => JSON.parse(line) as Found) }
  }

  async #clientArgs (command: 'push' | 'start', client: string, args: readonly string[]): Promise<string[]> {
    return [command, await this.source(), '--settle', '0s', '--json', '--state-dir', this.path(client), ...args]
  }

  async dispose (): Promise<void> {
    await this.wire.stop()
    this.wire.remove()
    await this.#stage.dispose()
  }
}
