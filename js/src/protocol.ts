export const VERSION = 1;

export type Fields = Record<string, unknown>;
export type Head = readonly [layer: number, head: number];
export type Span = readonly [from: number, to: number];

/** Where a patch lies in its grid; the grid covers the whole image. */
export type Patch = readonly [row: number, column: number, rows: number, columns: number];

/** A turn of a chat: its first token, the one past its last, and whose it is. */
export type Turn = readonly [from: number, to: number, role: string];

export interface TokensInfo {
  text: string[];
  special: number[];
  words: number[];
  segments: number[] | null;
  /** One entry per token, of tokens that are patches of an image. */
  patches?: (Patch | null)[];
  /** One span in seconds per token, of tokens that stand for sound. */
  times?: (readonly [from: number, to: number] | null)[];
  /** White space before a token that no token carries: 1 for a space, 1 + n for n line breaks. */
  gaps?: number[];
  /** Of a chat. */
  turns?: Turn[];
  /** Whether most of a long text is still to be asked for; what is not known yet reads “…”. */
  partial?: boolean;
}

export interface Notes {
  row_sums: [number, number] | null;
  dtype: string | null;
  check: number | null;
  masked: number | null;
  error: number | null;
  /** Queries that see no key. */
  blind: number;
  /** Layers not held to the model's own output. */
  unchecked: number[];
  /** What queries and keys are kept in where the model computes in another dtype, and how far that moves a weight. */
  kept?: { dtype: string; error: number };
}

export interface KindInfo {
  kind: string;
  label: string;
  layers: number[];
  heads: number[];
  /** Of each layer, where heads have names of their own; all different. */
  names?: string[][];
  queries: TokensInfo;
  keys: TokensInfo | null;
  causal: boolean;
  measures: string[];
  statistics: string[];
  notes: Notes;
  /** Without a kernel: how much of it there is, where that is not all. */
  stored?: Stored;
}

/** Where data without a kernel stands, which is named when something is not in it. */
export type Place = "page" | "notebook";

export interface Stored {
  /** Such as "2 of 6 layers stored". */
  text: string;
  place: Place;
  /** Layers of which there is something. */
  layers: readonly number[];
  has(head: Head): boolean;
}

/** How far the kernel is with what the widget follows. */
export interface Progress {
  done: number;
  total: number | null;
  label: string;
}

export interface CaptureInfo {
  version: number;
  model: string;
  kinds: KindInfo[];
  /** Whether the kernel has the model, to run it again. */
  runs: boolean;
  /** The capture it is compared with. */
  compare?: CompareInfo;
  /** Height and width of the pictures the patches come from, in their order. */
  pictures?: (readonly [height: number, width: number])[];
}

/** Runs of equal tokens: the first position in each capture, and the length. */
export type Run = readonly [a: number, b: number, length: number];

export interface AlignmentInfo {
  layers: number[];
  queries: Run[];
  keys: Run[];
}

export interface CompareInfo {
  capture: CaptureInfo;
  /** By kind of attention. */
  kinds: Record<string, AlignmentInfo>;
  /** Why a kind cannot be compared. */
  refused: Record<string, string>;
}

export interface WeightsRequest {
  type: "weights";
  kind: string;
  measure: string;
  heads: Head[];
  queries: Span;
  keys: Span;
}

export interface OverviewRequest {
  type: "overview";
  kind: string;
  layer: number;
  head: number;
  size: number;
}

export interface StatisticRequest {
  type: "statistic";
  kind: string;
  statistic: string;
}

export interface PairRequest {
  type: "pair";
  kind: string;
  query: number;
  key: number;
}

export interface StepsRequest {
  type: "steps";
  kind: string;
  layer: number;
  head: number;
  query: number;
}

export interface VectorsRequest {
  type: "vectors";
  kind: string;
  layer: number;
  head: number;
  query: number;
  keys: Span;
}

export interface OverviewsRequest {
  type: "overviews";
  kind: string;
  heads: Head[];
  size: number;
}

/** Questions about all heads of a kind that need nothing else. */
export interface HeadsRequest {
  type: "likeness" | "roles" | "findings" | "links";
  kind: string;
}

export interface FlowRequest {
  type: "flow";
  kind: string;
  query: number;
  level: number;
  edges: number;
  excess: boolean;
}

export interface EvolutionRequest {
  type: "evolution";
  kind: string;
  query: number;
  head: number | null;
}

export interface PictureRequest {
  type: "picture";
  kind: string;
  number: number;
}

/** What is on the screen, to be drawn as vectors. */
export interface FigureRequest {
  type: "figure";
  kind: string;
  /** The public state, with the theme as it looks. */
  state: Fields;
  /** What only the page knows of its view. */
  choices: Fields;
}

/** All tokens of one side, of a text of which only the first were sent. */
export interface TokensRequest {
  type: "tokens";
  kind: string;
  side: "queries" | "keys";
}

export interface AblateRequest {
  type: "ablate";
  kind: string;
  heads: Head[];
  query: number | null;
}

export type DataRequest = (
  | WeightsRequest
  | OverviewRequest
  | StatisticRequest
  | PairRequest
  | StepsRequest
  | VectorsRequest
  | FlowRequest
  | EvolutionRequest
  | PictureRequest
  | FigureRequest
  | OverviewsRequest
  | HeadsRequest
  | AblateRequest
  | TokensRequest
) & {
  /** 1 for the capture compared with; the one shown otherwise. */
  capture?: number;
};

/** What the page that shows a profile asks. */
export type ProfileRequest =
  | { type: "strongest"; statistic: string; layer: number; head: number }
  | { type: "open"; text: number; statistic: string | null; layer: number; head: number }
  | { type: "figure"; state: Fields };

export type Message = (DataRequest | ProfileRequest | { type: "hello" }) & { id: string };

export interface Reply {
  shape: number[];
  data: Float32Array;
  /** What of the answer is no array of numbers. */
  info?: Fields;
}

export interface WireReply {
  id: string;
  type?: string;
  version?: number;
  shape?: number[];
  dtype?: string;
  info?: unknown;
  data?: unknown;
  error?: { name: string; message: string };
}
