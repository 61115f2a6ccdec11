import type { Connection, HistoryAnswer, HistoryPoint, HistoryVersion } from '@filesync/protocol'

export interface HistoryAsk {
  readonly path: string
  /** The most to ask for. */
  readonly limit: number
}

/** What the server has of a path, newest first. */
export interface PathHistory<T> {
  readonly rows: readonly T[]
  readonly hasMore: boolean
}

/** The points that changed something at a path or below it. */
export async function askPoints (connection: Connection, { path, limit }: HistoryAsk): Promise<PathHistory<HistoryPoint>> {
  const rows: HistoryPoint[] = []
  for (;;) {
    const before = rows.at(-1)?.id
    const answer = await ask(connection, { path, what: 'POINTS', ...(before !== undefined && { before }) })
    rows.push(...answer.points)
    if (isEnough(answer.hasMore && answer.points.length > 0, rows.length, limit)) {
      return { rows: rows.slice(0, limit), hasMore: answer.hasMore || rows.length > limit }
    }
  }
}

/** The former states of a path and of what was below it. */
export async function askVersions (connection: Connection, { path, limit }: HistoryAsk): Promise<PathHistory<HistoryVersion>> {
  const rows: HistoryVersion[] = []
  for (;;) {
    const answer = await ask(connection, { path, what: 'VERSIONS', ...(rows.length > 0 && { skip: rows.length }) })
    rows.push(...answer.versions)
    if (isEnough(answer.hasMore && answer.versions.length > 0, rows.length, limit)) {
      return { rows: rows.slice(0, limit), hasMore: answer.hasMore || rows.length > limit }
    }
  }
}

function isEnough (mayAskOn: boolean, count: number, limit: number): boolean {
  return !mayAskOn || count >= limit
}

async function ask (
  connection: Connection, question: { path: string, what: 'POINTS' | 'VERSIONS', before?: string, skip?: number },
): Promise<HistoryAnswer> {
  await connection.send({ type: 'HISTORY_QUESTION', ...question })
  return await connection.receive(['HISTORY_ANSWER'])
}
