// Types of this project's streams, for the client of channels_api:
//
//     const api = connect<Api>("/ws/");
//
// Written by `manage.py channels_api_types`, which will write it anew: change the bindings instead.

/** The streams of the socket at /ws/. */
export interface Api {
  questions: QuestionsStream;
  "live-votes": LiveVotesStream;
  links: LinksStream;
  tasks: TasksStream;
}

/** The streams of the socket at /admin/. */
export interface AdminApi {
  questions: AdminQuestionsStream;
}

/** What is asked. */
export interface QuestionsStream {
  pk: number;
  held: number;
  row: Question;
  /** Asks a new question. */
  create: {
    data: QuestionInput;
    result: Question;
  };
  retrieve: {
    result: Question;
  };
  list: {
    data: {
      /** Words that rows have to contain. */
      search?: string;
      author__name?: string;
    };
    result: {
      count: number;
      results: Question[];
    };
  };
  update: {
    data: QuestionInput;
    result: Question;
  };
  patch: {
    data: QuestionPatch;
    result: Question;
  };
  delete: {
    result: unknown;
  };
  subscribe: {
    filter: {
      /** Words that rows have to contain. */
      search?: string;
      author__name?: string;
    };
  };
  actions: {
    publish: {
      pk: number;
      result: Question;
    };
    /**
     * Counts the votes *\/ of a year.
     *
     * Takes long.
     */
    report: {
      data: {
        year: number;
      };
      result: unknown;
    };
    "by-day": {
      data?: unknown;
      result: unknown[];
    };
  };
}

export interface LiveVotesStream {
  pk: string;
  held: number;
  row: number;
  retrieve: {
    result: number;
  };
  subscribe: {
    filter: {
      /** Words that rows have to contain. */
      search?: string;
      author__name?: string;
    };
    key: "slug";
  };
}

export interface LinksStream {
  pk: number;
  held: number;
  row: {
    url: string;
  };
  subscribe: {
    filter: {
      [key: string]: unknown;
    };
    key: string;
  };
}

export interface TasksStream {
  pk: string;
  held: string;
  row: unknown;
  retrieve: {
    result: unknown;
  };
}

export interface AdminQuestionsStream {
  pk: number;
  held: number;
  row: string;
  retrieve: {
    result: string;
  };
}

/** A question and its choices. */
export interface Question {
  id: number;
  question_text: string;
  /**
   * Date published
   * @format date-time
   */
  pub_date: string;
  /**
   * How it is asked.
   * - "calm": Calm
   * - "loud": Loud
   * @default "calm"
   */
  tone: "calm" | "loud" | null;
  choices: Choice[];
  "e-mail": string | null;
}

export interface QuestionInput {
  question_text: string;
  /**
   * Date published
   * @format date-time
   */
  pub_date?: string;
  /**
   * How it is asked.
   * - "calm": Calm
   * - "loud": Loud
   * @default "calm"
   */
  tone?: "calm" | "loud" | null;
}

export interface QuestionPatch {
  question_text?: string;
}

export interface Choice {
  votes?: number;
}
