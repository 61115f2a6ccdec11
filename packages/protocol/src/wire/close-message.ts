import { asFileSyncError, ERRORS, FileSyncError, isErrorCode } from '../errors.ts'
import type { ErrorCode } from '../errors.ts'
import type { Frame } from './frame.ts'
import { LIMITS } from '../limits.ts'
import { decodeMessage } from './message-schema.ts'
import type { Close } from './messages.ts'

/** The longest code and text fit; a longer CLOSE is handled only when the session reaches it. */
const MAX_CLOSE_BYTES = 16_384
const CLOSE_LETTERS = [...'CLOSE'].map(letter => letter.charCodeAt(0))

const STOPPED = 'The other end stopped.'
const HAS_TROUBLE = 'The other end stopped because of a problem on its own machine. Its output or log there says more.'

/** CLOSE with what may be disclosed of an error to a peer; DONE without an error. */
export function closeMessageFor (error: unknown): Close {
  if (error === undefined) return { type: 'CLOSE', code: 'DONE', message: '' }
  const { code, message, retryInMs } = asFileSyncError(error)
  // Only errors that concern the peer are disclosed. The message of an internal error could contain paths.
  if (!ERRORS[code].wire) return { type: 'CLOSE', code: 'PEER_GONE', message: code === 'ABORTED' ? STOPPED : HAS_TROUBLE }
  const words = code === 'INTERNAL' ? ERRORS.INTERNAL.meaning : message
  const inMs = retryInMs === undefined ? {} : { inMs: Math.max(0, Math.round(retryInMs)) }
  return { type: 'CLOSE', code, message: words.slice(0, LIMITS.textBytes).toWellFormed(), ...inMs }
}

/** The error that a received CLOSE means for this end. A peer cannot impose codes that are not for the wire. */
export function errorFromClose ({ code, message, inMs }: Close): FileSyncError {
  if (code === 'DONE') return new FileSyncError('PEER_GONE', 'The other end closed the connection.')
  const known: ErrorCode = isErrorCode(code) && ERRORS[code].wire ? code : 'PEER_GONE'
  return new FileSyncError(known, message === '' ? ERRORS[known].meaning : message, { retryInMs: inMs })
}

/**
 * The CLOSE in a frame, or undefined. Frames wait undecoded for the session, but a CLOSE must not wait with them. The search for
 * the letters of its type avoids decoding the other messages twice.
 */
export function closeMessageIn (frame: Frame): Close | undefined {
  if (frame.type !== 'MESSAGE' || frame.payload.length > MAX_CLOSE_BYTES || !hasCloseLetters(frame.payload)) return undefined
  const message = decodeMessage(frame.payload)
  return message?.type === 'CLOSE' ? message : undefined
}

function hasCloseLetters (bytes: Uint8Array): boolean {
  const [first = 0] = CLOSE_LETTERS
  for (let at = bytes.indexOf(first); at >= 0; at = bytes.indexOf(first, at + 1)) {
    if (CLOSE_LETTERS.every((letter, i) => bytes[at + i] === letter)) return true
  }
  return false
}
