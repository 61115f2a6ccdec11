import type { ByteStream } from '@filesync/protocol'

/** Times as the original program writes them. */
export const OLD = '2023-11-14T22:13:20.000001'
export const NEW = '2024-01-01T00:00:00.500000'

/** The files of a client by path. Their time is OLD by default. */
export type Files = Record<string, { readonly content: string | Uint8Array, readonly time?: string }>

const encoder = new TextEncoder()

/** Reads and writes the bytes at the client's end. */
export class Wire {
  readonly #stream: ByteStream
  #text = ''
  readonly #decoder = new TextDecoder()

  constructor (stream: ByteStream) {
    this.#stream = stream
  }

  /** Reads everything up to and including `end`. */
  async until (end: string): Promise<string> {
    while (!this.#text.includes(end)) await this.#more()
    const at = this.#text.indexOf(end) + end.length
    const text = this.#text.slice(0, at)
    this.#text = this.#text.slice(at)
    return text
  }

  /** Reads everything until the server closes. */
  async rest (): Promise<string> {
    while (await this.#more()) { /* read on */ }
    return this.#text
  }

  async send (text: string | Uint8Array): Promise<void> {
    await this.#stream.write(typeof text === 'string' ? encoder.encode(text) : text)
  }

  drop (): void { this.#stream.destroy(new Error('gone')) }

  async #more (): Promise<boolean> {
    const chunks = await this.#stream.read()
    for (const chunk of chunks ?? []) this.#text += this.#decoder.decode(chunk, { stream: true })
    return chunks !== undefined
  }
}

/** CLIENT_FILES_INFO. */
export function info (files: Files, clientId: string | null): string {
  const listed = Object.entries(files).map(([path, { time = OLD }]) => ({ name: path.split('/').at(-1), path, last_mod: time }))
  return JSON.stringify({ type: 'CLIENT_FILES_INFO', client_id: clientId, files: listed })
}

/** Sends FILE_HEADER and the bytes of a file. `size` is the size in the header, if it is to be wrong. */
export async function sendFile (wire: Wire, path: string, { content, time = OLD }: Files[string], size?: number): Promise<void> {
  const bytes = typeof content === 'string' ? encoder.encode(content) : content
  const header = { type: 'FILE_HEADER', name: path.split('/').at(-1), path, size: size ?? bytes.length, last_mod: time }
  await wire.send(`${JSON.stringify(header)}\n`)
  await wire.send(bytes)
}
