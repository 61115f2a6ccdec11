import { read } from 'node:fs'

/** Reads into `into` from a position of an open file, as far as the file goes. Resolves to the number of bytes; -1 if it cannot be read. */
export async function readAt (fd: number, into: Uint8Array, position: number): Promise<number> {
  let got = 0
  while (got < into.length) {
    const bytes = await new Promise<number>(resolve => {
      read(fd, into, got, into.length - got, position + got, (error, count) => { resolve(error === null ? count : -1) })
    })
    if (bytes < 0) return -1
    if (bytes === 0) break
    got += bytes
  }
  return got
}

/** The content of an open file that must have a size; undefined if it is longer or shorter, or cannot be read. */
export async function readFully (fd: number, sizeBytes: number): Promise<Uint8Array | undefined> {
  // One byte more, to see that the file ends there.
  const into = new Uint8Array(sizeBytes + 1)
  return await readAt(fd, into, 0) === sizeBytes ? into.subarray(0, sizeBytes) : undefined
}
