import { asFileSyncError, FileSyncError } from '@filesync/protocol'
import type { Connection } from '@filesync/protocol'
import type { QuestionDesk } from './question-desk.ts'

export interface AnswerInit {
  readonly identity: string
  readonly area: string
  readonly desk: QuestionDesk
  /** Aborted when the server is about to stop. */
  readonly stopping: AbortSignal | undefined
}

/** A session of questions, from behind HELLO to the client's goodbye, as docs/protocol.md has it under "Questions". */
export async function answerQuestions (connection: Connection, { identity, area, desk, stopping }: AnswerInit): Promise<void> {
  const leave = desk.enter(identity)
  const stop = (): void => { void connection.close(new FileSyncError('SERVER_STOPPING', 'The server is stopping. Try again later.')) }
  stopping?.addEventListener('abort', stop, { once: true })
  try {
    if (stopping?.aborted === true) stop()
    for (;;) {
      const question = await connection.receive(['SAFE_QUESTION'])
      await connection.send(await desk.answer(area, question, connection.signal))
    }
  } catch (error) {
    // Whoever is gone has asked all that it wanted, and nothing was begun that could be lost.
    if (asFileSyncError(error).code !== 'PEER_GONE') throw error
  } finally {
    stopping?.removeEventListener('abort', stop)
    leave()
  }
}
