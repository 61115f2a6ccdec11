import type { Socket } from 'node:net'

/** What the original calls: as many bytes as are there, at most `size`; waits for the first. Empty at the end. */
export async function recv (socket: Socket, size: number): Promise<Buffer> {
  for (;;) {
    const bytes = socket.readableLength > 0 ? socket.read(Math.min(size, socket.readableLength)) as Buffer | null : null
    if (bytes !== null) return bytes
    if (socket.readableEnded || socket.destroyed) return Buffer.alloc(0)
    await new Promise<void>(resolve => {
      const wake = (): void => {
        for (const event of ['readable', 'end', 'close']) socket.off(event, wake)
        resolve()
      }
      for (const event of ['readable', 'end', 'close']) socket.on(event, wake)
    })
  }
}

/** Exactly so many bytes. */
export async function recvAll (socket: Socket, size: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  for (let left = size; left > 0;) {
    const piece = await recv(socket, Math.min(left, 65_536))
    if (piece.length === 0) throw new Error('The connection ended in the middle of a file.')
    pieces.push(piece)
    left -= piece.length
  }
  return Buffer.concat(pieces)
}

/** As Python's `datetime.fromtimestamp(mtime).isoformat()`. */
export function naiveIso (mtimeNs: bigint): string {
  const at = new Date(Number(mtimeNs / 1_000_000n))
  const two = (value: number): string => String(value).padStart(2, '0')
  const micros = String(mtimeNs / 1000n % 1_000_000n).padStart(6, '0')
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
  return `${date}T${time}${micros === '000000' ? '' : `.${micros}`}`
}
