import { createRef, Fragment, type RefObject, useEffect, useRef, useState } from "react";
import { AskPage } from "./ask/AskPage";
import { deleteHistory } from "./ask/history";
import { Header } from "./Header";
import { KeyForm } from "./key/KeyForm";
import { deleteKey, type KeyStorage, loadKey, saveKey } from "./key/store";
import { HealthBanner } from "./service/HealthBanner";
import { useCapabilities } from "./service/useCapabilities";
import { useHealth } from "./service/useHealth";
import { type Route, useRoute } from "./shared/useRoute";
import { TeachPage } from "./teach/TeachPage";
import { TextsPage } from "./texts/TextsPage";
import { TopicsPage } from "./topics/TopicsPage";

/** How long a notice about the key is shown, in milliseconds. */
const NOTICE_TIME = 10_000;

const TITLES: Record<Route, string> = {
  "/": "Sutra",
  "/topics": "Topics · Sutra",
  "/teach": "Teach · Sutra",
  "/texts": "Texts · Sutra",
};

/** The whole page. All views stay mounted, so that switching between them loses neither input nor answers. */
export function App() {
  const [route, navigate] = useRoute();
  const { health, isBack, refresh } = useHealth();
  const [apiKey, setApiKey] = useState(loadKey);
  const [changing, setChanging] = useState(false);
  const [notice, setNotice] = useState("");
  const keyField = useRef<HTMLInputElement>(null);
  // A new visit starts when the key is forgotten: the views do not keep data from the previous visit.
  const [visit, setVisit] = useState(0);
  const [titles] = useState<Record<Route, RefObject<HTMLHeadingElement | null>>>(() => ({
    "/": createRef(),
    "/topics": createRef(),
    "/teach": createRef(),
    "/texts": createRef(),
  }));
  const title = titles[route];
  const lastView = useRef("");
  const needsKey = apiKey === "" || changing;
  const capabilities = useCapabilities(apiKey, health?.state === "up" || health?.state === "partly");
  const hasTopics = capabilities?.includes("topics");

  useEffect(() => {
    document.title = TITLES[route];
    const view = `${visit} ${route}`;
    // Do not move the focus on the initial load.
    if (lastView.current !== "" && lastView.current !== view) title.current?.focus();
    lastView.current = view;
  }, [route, title, visit]);

  useEffect(() => {
    if (changing) keyField.current?.focus();
  }, [changing]);

  useEffect(() => {
    if (notice === "") return;
    const timer = setTimeout(() => setNotice(""), NOTICE_TIME);
    return () => clearTimeout(timer);
  }, [notice]);

  function requestKey() {
    setChanging(true);
    keyField.current?.focus();
  }

  function acceptKey(key: string, storage: KeyStorage) {
    const isSaved = saveKey(key, storage);
    setApiKey(key);
    setChanging(false);
    setNotice(
      isSaved
        ? "API key saved."
        : "API key set but not saved, because this browser blocks storage. It will be lost when you reload the page.",
    );
    title.current?.focus();
  }

  function forgetKey() {
    deleteKey();
    deleteHistory();
    setApiKey("");
    setChanging(false);
    setVisit(visit + 1);
    setNotice("API key deleted from this browser.");
  }

  /** Refreshes the health after a request, whose result may be newer. */
  function settled(failed: boolean) {
    if (failed || health?.state !== "up") refresh();
  }

  const page = { apiKey, onNeedKey: requestKey, onSettled: settled };
  return (
    <>
      <Header
        route={route}
        navigate={navigate}
        hasTopics={hasTopics === true}
        hasKey={apiKey !== ""}
        onChange={requestKey}
        onForget={forgetKey}
      />
      <main>
        <HealthBanner health={health} isBack={isBack} />
        <p role="status" className={notice === "" ? "visually-hidden" : "hint key-notice"}>
          {notice}
        </p>
        {needsKey && (
          <KeyForm field={keyField} onKey={acceptKey} onCancel={apiKey === "" ? undefined : () => setChanging(false)} />
        )}
        <Fragment key={visit}>
          <div hidden={route !== "/"}>
            <AskPage {...page} title={titles["/"]} />
          </div>
          <div hidden={route !== "/topics"}>
            <TopicsPage {...page} title={titles["/topics"]} isAvailable={hasTopics} />
          </div>
          <div hidden={route !== "/teach"}>
            <TeachPage {...page} title={titles["/teach"]} />
          </div>
          <div hidden={route !== "/texts"}>
            <TextsPage {...page} title={titles["/texts"]} active={route === "/texts"} />
          </div>
        </Fragment>
      </main>
    </>
  );
}
