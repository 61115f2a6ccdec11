import { asFileSyncError, FileSyncError } from '@filesync/protocol'
import type { Connection } from '@filesync/protocol'
import type { SafeCheckDesk } from './safe-check-desk.ts'

export interface AnswerSafeChecksInit {
  readonly identity: string
  readonly area: string
  readonly desk: SafeCheckDesk
  /** Aborted when the server is about to stop. */
  readonly stopping: AbortSignal | undefined
}

/** A session of safe checks, from after HELLO until the client leaves, as specified in docs/protocol.md under "Questions". */
export async function answerSafeChecks (connection: Connection, { identity, area, desk, stopping }: AnswerSafeChecksInit): Promise<void> {
  const leave = desk.enter(identity)
  const stop = (): void => { void connection.close(new FileSyncError('SERVER_STOPPING', 'The server is stopping. Try again later.')) }
  stopping?.addEventListener('abort', stop, { once: true })
  try {
    if (stopping?.aborted === true) stop()
    for (;;) {
      const question = await connection.receive(['SAFE_QUESTION', 'SAFE_PAGES_QUESTION'])
      const answer = question.type === 'SAFE_QUESTION' ? desk.answer(area, question, connection.signal)
        : desk.answerPages(area, question, connection.signal)
      await connection.send(await answer)
    }
  } catch (error) {
    // A client that left has no more questions, and nothing was begun that could be lost.
    if (asFileSyncError(error).code !== 'PEER_GONE') throw error
  } finally {
    stopping?.removeEventListener('abort', stop)
    leave()
  }
}
