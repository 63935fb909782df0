import { type FormEvent, useId, useState } from "react";
import { findTopics } from "../api/sutra";
import type { Topic } from "../api/types";
import { ErrorNotice } from "../shared/ErrorNotice";
import type { PageProps } from "../shared/page";
import { useRequest } from "../shared/useRequest";
import { countOf } from "../shared/words";
import { TopicView } from "./TopicView";
import "./topics.css";

interface Props extends PageProps {
  /** Whether the edition has topics; undefined while unknown. */
  isAvailable: boolean | undefined;
}

/** The topics of the texts that match a question. */
export function TopicsPage({ title, isAvailable, apiKey, onNeedKey, onSettled }: Props) {
  const id = useId();
  const [question, setQuestion] = useState("");
  const { request, run, cancel } = useRequest<Topic[]>(onSettled);
  const waiting = request.state === "waiting";

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const asked = question.trim();
    if (asked === "") return;
    if (apiKey === "") onNeedKey();
    else run((signal) => findTopics(asked, { key: apiKey, signal }));
  }

  return (
    <>
      <h1 ref={title} tabIndex={-1}>
        Explore topics
      </h1>
      {isAvailable === false ? (
        <p className="notice wait">Topics are not available in this edition. Use community or enterprise.</p>
      ) : (
        <form className="card" onSubmit={submit}>
          <label htmlFor={`${id}-about`}>A question or a subject</label>
          <input
            id={`${id}-about`}
            value={question}
            autoComplete="off"
            placeholder="What are your texts about?"
            onChange={(event) => setQuestion(event.target.value)}
          />
          <div className="actions">
            <button type="submit" className="primary" disabled={waiting || question.trim() === ""}>
              Show topics
            </button>
            {waiting && (
              <button type="button" onClick={cancel}>
                Stop
              </button>
            )}
          </div>
        </form>
      )}
      <div role="status">
        {waiting && <p className="working">Searching…</p>}
        {request.state === "done" && (
          <p className={request.value.length > 0 ? "visually-hidden" : "hint"}>
            {request.value.length > 0
              ? `Found ${countOf(request.value.length, "topic")}.`
              : "No texts found about this. Teach Sutra some, then try again."}
          </p>
        )}
      </div>
      {request.state === "failed" && <ErrorNotice error={request.error} onChangeKey={onNeedKey} />}
      {request.state === "done" &&
        request.value.map((topic, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the topics of a response never change
          <TopicView key={index} topic={topic} />
        ))}
    </>
  );
}
