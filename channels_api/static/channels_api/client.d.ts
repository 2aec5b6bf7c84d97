/**
 * The client of channels_api: REST, subscriptions and tasks over one WebSocket.
 *
 * `manage.py channels_api_types` writes the types of a project's streams; with them,
 * `connect<Api>("/ws/")` knows rows, inputs and actions. Without them everything is `any`.
 */

/** A primary key as frames hold it. */
export type Key = string | number;

/** What one action takes besides its name, and what it answers; a key that is missing is not taken. */
export interface ActionTypes {
  pk?: unknown;
  data?: unknown;
  result: unknown;
}

/** What the types of one stream say: an action that is missing is not offered. */
export interface StreamTypes {
  /** What requests call a row: its primary key, or the field that is looked up instead. */
  pk: unknown;
  /** What events call a row: its primary key. */
  held: unknown;
  /** What subscriptions hold. */
  row: unknown;
  create?: ActionTypes;
  retrieve?: ActionTypes;
  list?: ActionTypes;
  update?: ActionTypes;
  patch?: ActionTypes;
  delete?: ActionTypes;
  /** `key`: the field that has to be named, where it is neither "id" nor "pk"; any, if it is not known. */
  subscribe?: { filter: unknown; key?: string };
  /** Actions of the project's own, by name. */
  actions?: object;
}

/** A stream of which nothing is known. */
export interface AnyStream {
  pk: any;
  held: any;
  row: any;
  create: { data: any; result: any };
  retrieve: { result: any };
  list: { data: any; result: any };
  update: { data: any; result: any };
  patch: { data: any; result: any };
  delete: { result: any };
  subscribe: { filter: any };
  actions: Record<string, { pk?: any; data?: any; result: any }>;
}

/** Streams by name, of which nothing is known. */
export type AnyApi = Record<string, AnyStream>;

/** Types of streams by name, such as the `Api` that `manage.py channels_api_types` writes. */
export type ApiTypes<Api> = { [Name in keyof Api]: StreamTypes };

export type State = "connecting" | "open" | "waiting" | "closed";

export interface ConnectOptions {
  /** The WebSocket class; Node before 22 has none of its own: pass that of the package `ws`. */
  WebSocket?: new (url: string, protocols?: string[]) => any;
  /** Subprotocols to offer besides `channels-api.v1`. */
  protocols?: string[];
  /**
   * What the server's authentication classes take, or what gives it, asked anew for each connection;
   * sent as the first frame. Where it is asked for and rejects, the connection is tried again.
   */
  token?: string | (() => string | Promise<string>);
  /** Requests that may wait to be sent, while offline or behind others; 1000 unless said. */
  maxQueued?: number;
  /** Requests that may wait for their replies; the others queue. 32 unless said. */
  maxInFlight?: number;
  /**
   * Milliseconds that a reply may take, and the opening of a socket; 60 000 unless said, Infinity for
   * no end. A stream's requests are answered one after another: the time of one begins when the one
   * before it is answered. Longer than the server's ACTION_TIMEOUT, or what it still works on is taken
   * for lost. Also what the server refuses because too many frames come ends so: it does not say which
   * one it was, and the others wait for a while.
   */
  timeout?: number;
  /** The name of the stream of tasks, by which a task is found again and cancelled; "tasks". */
  tasks?: string;
  /** Milliseconds: the first pause before another try is up to this long; 1000 unless said. */
  minPause?: number;
  /** Milliseconds: no pause is longer; 30 000 unless said. */
  maxPause?: number;
}

export interface RequestOptions {
  /**
   * Aborts the request: its promise rejects with the signal's reason. What was sent already is
   * carried out all the same.
   */
  signal?: AbortSignal;
}

/** Opens a socket; `url` may be a path of this site: `wss:` is used under https. */
export function connect<Api extends ApiTypes<Api> = AnyApi>(url: string | URL, options?: ConnectOptions): Client<Api>;

/** A socket that is opened again when it is lost, and all that goes over it. */
export class Client<Api extends ApiTypes<Api> = AnyApi> {
  constructor(url: string | URL, options?: ConnectOptions);

  readonly url: string;
  /** "waiting": to try again. "closed": by `close()`, or by the server for good. */
  readonly state: State;
  /** The code with which the socket was closed the last time; null before. */
  readonly closeCode: number | null;

  stream<Name extends keyof Api & string>(name: Name): Stream<Api[Name]>;

  /** Follow a task that was begun elsewhere, such as over HTTP. */
  task<Result = any>(id: string): Task<Result>;

  /** End the socket; what waits for a reply is rejected. The client can't be used again. */
  close(): void;

  /** Drop the socket as a lost network does, and open it again, after so many milliseconds. */
  reconnect(after?: number): void;

  /** Hear of a new state. Returns what ends it. */
  onState(listener: (state: State, closeCode: number | null) => void): () => void;

  /** Hear of each frame as it is, pings too. Returns what ends it. */
  onFrame(listener: (direction: "in" | "out", text: string) => void): () => void;
}

type DataOf<Action> = "data" extends keyof Action ? Action["data"] : undefined;
type ResultOf<Action> = Action extends { result: infer Result } ? Result : never;
type FieldsOf<Action> = Pick<Action, Exclude<keyof Action, "result">>;
// Only where nothing is required, the fields may be left out.
type Arguments<Fields> = {} extends Fields ? [fields?: Fields] : [fields: Fields];

interface StandardActions<Types extends StreamTypes> {
  create(data: DataOf<Types["create"]>, options?: RequestOptions): Promise<ResultOf<Types["create"]>>;
  retrieve(pk: Types["pk"], options?: RequestOptions): Promise<ResultOf<Types["retrieve"]>>;
  /** The rows, or a page of them; filters, search, ordering and page are the keys of `filters`. */
  list(filters?: DataOf<Types["list"]>, options?: RequestOptions): Promise<ResultOf<Types["list"]>>;
  update(
    pk: Types["pk"],
    data: DataOf<Types["update"]>,
    options?: RequestOptions,
  ): Promise<ResultOf<Types["update"]>>;
  /** Change only what `data` names. */
  patch(
    pk: Types["pk"],
    data: DataOf<Types["patch"]>,
    options?: RequestOptions,
  ): Promise<ResultOf<Types["patch"]>>;
  delete(pk: Types["pk"], options?: RequestOptions): Promise<void>;
  /** A replica of the rows that is kept up to date. */
  subscribe(
    ...options: Arguments<SubscribeOptions<Types>>
  ): Subscription<Types["row"], Types["held"]>;
}

interface CustomActions<Actions> {
  /** A custom action: `action("publish", { pk: 1 })`, `action("report", { data: {...} })`. */
  action<Name extends keyof Actions & string>(
    name: Name,
    ...fields: Arguments<FieldsOf<Actions[Name]> & RequestOptions>
  ): Promise<ResultOf<Actions[Name]>>;
  /** A custom action that begins a task. */
  task<Name extends keyof Actions & string>(
    name: Name,
    ...fields: Arguments<FieldsOf<Actions[Name]>>
  ): Task<ResultOf<Actions[Name]>>;
}

interface AnyAction {
  readonly name: string;
  /** Any action, also one that is not in the types: the reply as it came, whatever its status. */
  request(action: string, fields?: { pk?: unknown; data?: unknown } & RequestOptions): Promise<Reply>;
}

/**
 * One stream. Each method sends a request; its promise resolves to the reply's data, or rejects with a
 * RequestError.
 */
export type Stream<Types extends StreamTypes = AnyStream> = AnyAction &
  Pick<StandardActions<Types>, keyof StandardActions<Types> & keyof Types> &
  ("actions" extends keyof Types ? CustomActions<Types["actions"]> : unknown);

/** A reply: the payload of its frame. */
export interface Reply<Data = any> {
  action: string | null;
  errors: ErrorItem[];
  data: Data;
  response_status: number;
  request_id: string | number | null;
}

/** A sentence, or sentences by field. */
export type ErrorItem = string | Record<string, unknown>;

/** A reply that says no; or no reply: then the status is 0. */
export class RequestError extends Error {
  constructor(message: string, status?: number, errors?: ErrorItem[], data?: any);
  readonly status: number;
  readonly errors: ErrorItem[];
  /** What the reply had besides; null where there was nothing. */
  readonly data: any;
  /** The sentences of each field; those of no field under "non_field_errors". */
  readonly fields: Record<string, string[]>;
}

/** The connection was lost before the reply came: whether it was carried out is not known. */
export class ConnectionLost extends RequestError {}

type FilterOf<Subscribe> = Subscribe extends { filter: infer Filter } ? Filter : never;
type KeyOption<Types extends StreamTypes, Field> = Field | ((row: Types["row"]) => Types["held"]);

export type SubscribeOptions<Types extends StreamTypes = AnyStream> = {
  /** One row instead of all. */
  pk?: Types["pk"];
  /** The keys that `list` takes. */
  filter?: FilterOf<Types["subscribe"]>;
  /** Called after each change of `rows`. */
  onChange?: (change: Change<Types["row"], Types["held"]>) => void;
  /** Called where the server refuses or ends the subscription; it is over then. */
  onError?: (error: RequestError) => void;
} & (Types["subscribe"] extends { key: infer Field }
  ? { /** The field of a row that holds its primary key, or what tells it. */ key: KeyOption<Types, Field> }
  : {
      /** The field of a row that holds its primary key, or what tells it; "id" or "pk" unless said. */
      key?: KeyOption<Types, keyof Types["row"] & string>;
    });

/**
 * What happened to a replica: "snapshot" is its begin, "reset" where all of it is new because changes
 * could not be told one by one, "resume" where the connection is back and what was missed follows.
 * `pk` is what the row has, or had, in `rows`.
 */
export type Change<Row = any, Pk = Key> =
  | { type: "create" | "update"; pk: Pk; row: Row; previous: Row | undefined }
  | { type: "delete"; pk: Pk; row: undefined; previous: Row | undefined }
  | { type: "snapshot" | "reset"; reason: string }
  | { type: "resume" };

/**
 * A replica of the rows that may be seen, kept up to date: after a lost connection it goes on where it
 * was, or is sent anew.
 */
export class Subscription<Row = any, Pk = Key> {
  private constructor();
  /** The rows by their keys: those of the snapshot in its order, then those that came later. */
  readonly rows: ReadonlyMap<Pk, Row>;
  /** "pending" until the first snapshot is here; "live"; "stale" while offline; "closed". */
  readonly state: "pending" | "live" | "stale" | "closed";
  /** Resolves with the first snapshot; rejects where the subscription is refused. */
  readonly ready: Promise<this>;
  /** How far the replica is: the position in the server's log. */
  readonly position: { epoch: string; seq: number } | null;
  /** End it. */
  close(): void;
}

/** What a task is at: `PENDING`, `STARTED`, `PROGRESS` or a state of its own, `RETRY`, `SUCCESS`... */
export interface TaskState<Result = any> {
  id: string;
  state: string;
  meta?: any;
  result?: Result;
  /** Nothing was heard of it since then: its worker may be gone. */
  since?: string;
}

/**
 * A task: iterate over it for each state, the last one included; `result` is a promise of what it
 * returns. It rejects with a RequestError: 410 where the task was cancelled, 500 where it failed.
 * After a lost connection it goes on, where the server has a stream of tasks.
 */
export class Task<Result = any> implements AsyncIterable<TaskState<Result>> {
  private constructor();
  /** The id by which it can be found again; null before the first reply. */
  readonly id: string | null;
  /** The last state that was told. */
  readonly state: TaskState<Result> | null;
  readonly result: Promise<Result>;
  [Symbol.asyncIterator](): AsyncIterator<TaskState<Result>>;
  /** Cancel it; one that waits to be sent is never begun. Rejects with a RequestError of status 400 where it has ended already. */
  cancel(): Promise<void>;
}
